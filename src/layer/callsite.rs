//! Stores a plan for each callsite: the kind of its spans or events, and the role of each field by index.
//!
//! A look-up hashes a pointer and compares a single slot in the common case, without a lock. A full table links to a
//! larger table, so that every callsite has a plan.

use std::sync::{Arc, LazyLock, OnceLock};

use tracing::{Level, Metadata};

use super::{
    event_fields::EventName,
    fields::{self, AlertField, Role},
};
use crate::{
    observation::{Kind, Mapping},
    privacy::is_content,
};

/// The role of each field, by index. The array has a role for every byte, so that indexing needs no bounds check. The
/// Layer reads no field of a callsite with more than 256 fields.
type Roles = [Role; 1 << 8];

/// The plan of a callsite: how the Layer interprets its spans or events.
#[derive(Debug)]
pub(super) struct CallsitePlan {
    key: usize,
    pub(super) number: u32,
    pub(super) interest: Interest,
    roles: Arc<Roles>,
    /// True if `interest` is a span of kind inference, the most frequent case.
    pub(super) is_inference: bool,
    /// True if the span declares `status`; such a span counts as cancelled if it closes without a status.
    pub(super) declares_status: bool,
}

/// The use of a callsite.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Unused,
    Span(Kind),
    /// A span whose kind is the value of its field `observatory.kind`.
    SpanByField,
    Event(EventPlan),
}

/// The plan of a callsite of events.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties")]
pub(super) struct EventPlan {
    pub(super) is_error: bool,
    pub(super) has_metrics: bool,
    /// The event raises or resolves an alert.
    pub(super) has_alert: bool,
    /// The event's name, if the callsite has it.
    pub(super) named: Option<EventName>,
    /// The message may be the event's name.
    pub(super) may_be_named: bool,
    /// The event has a field for the number of a named event.
    pub(super) has_amount: bool,
}

impl CallsitePlan {
    #[inline]
    pub(super) fn role(&self, index: usize) -> Role {
        self.roles[usize::from(index as u8)]
    }

    fn new(metadata: &'static Metadata<'static>, number: u32, mapping: &Mapping) -> Self {
        let fields = || metadata.fields().iter().map(|field| field.name());
        let mut roles: Vec<Role> = fields()
            .map(|name| fields::role(name, &mapping.fields))
            .collect();
        let interest = if metadata.is_event() {
            let interest = Self::event(metadata, &roles);
            if let Interest::Event(plan) = &interest
                && (plan.has_metrics || plan.has_alert)
            {
                for (role, name) in roles.iter_mut().zip(fields()) {
                    if *role == Role::None && is_content(name) {
                        *role = Role::Content;
                    }
                }
            }
            interest
        } else if roles.contains(&Role::Kind) {
            Interest::SpanByField
        } else {
            let by_name = Kind::named(metadata.name(), &mapping.spans);
            by_name
                .or_else(|| fields().find_map(Kind::of_field))
                .map_or(Interest::Unused, Interest::Span)
        };
        let declares_status = roles.contains(&Role::Status);
        Self {
            key: key(metadata),
            number,
            is_inference: interest == Interest::Span(Kind::Inference),
            interest,
            roles: role_table(&roles),
            declares_status,
        }
    }

    /// Returns a plan without a use, with this number.
    #[cfg(test)]
    pub(super) fn of_test(number: u32) -> Self {
        Self {
            key: 0,
            number,
            interest: Interest::Unused,
            is_inference: false,
            roles: role_table(&[]),
            declares_status: false,
        }
    }

    fn event(metadata: &Metadata<'_>, roles: &[Role]) -> Interest {
        let named = EventName::parse(metadata.name());
        let has_metrics = roles.iter().any(|role| matches!(role, Role::Metric(_)));
        let has_alert = roles
            .iter()
            .any(|role| matches!(role, Role::Alert(AlertField::Rule | AlertField::Resolve)));
        let is_error = *metadata.level() == Level::ERROR;
        // `info!("token")`: the message can be a name only if all other fields are known.
        let may_be_named = named.is_none()
            && !has_metrics
            && *metadata.level() >= Level::INFO
            && roles.contains(&Role::Message)
            && roles.iter().all(|role| {
                matches!(
                    role,
                    Role::Message
                        | Role::Amount
                        | Role::OutputTokens
                        | Role::Label(_)
                        | Role::Failure(_)
                )
            });
        if named.is_some() || has_metrics || has_alert || is_error || may_be_named {
            Interest::Event(EventPlan {
                is_error,
                has_metrics,
                has_alert,
                named,
                may_be_named,
                has_amount: roles
                    .iter()
                    .any(|role| matches!(role, Role::Amount | Role::OutputTokens)),
            })
        } else {
            Interest::Unused
        }
    }
}

/// Returns the table of roles. Most callsites have no roles and share a table.
fn role_table(roles: &[Role]) -> Arc<Roles> {
    static NO_ROLES: LazyLock<Arc<Roles>> = LazyLock::new(|| Arc::new([Role::None; _]));
    let mut table = [Role::None; _];
    match table.get_mut(..roles.len()) {
        Some(used) if roles.iter().any(|role| *role != Role::None) => {
            used.copy_from_slice(roles);
            Arc::new(table)
        }
        _ => Arc::clone(&NO_ROLES),
    }
}

/// The plans of all callsites that the Layer has seen.
pub(super) struct Callsites {
    mapping: Mapping,
    /// A fixed-size array, so that indexing needs no bounds check.
    first: Box<[OnceLock<CallsitePlan>; SLOTS]>,
    next: NextTable,
}

/// The link to the next table.
type NextTable = OnceLock<Box<Table>>;

struct Table {
    plans: Box<[OnceLock<CallsitePlan>]>,
    /// Number of the plan in slot 0.
    offset: u32,
    next: NextTable,
}

/// Slots of the first table; each further table has twice as many.
const SLOTS: usize = 1024;
/// Slots that a search probes before it goes on to the next table.
const MAX_PROBES: usize = 16;

impl Callsites {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            first: vacant(SLOTS)
                .try_into()
                .unwrap_or_else(|_| unreachable!("the slice has as many slots")),
            next: OnceLock::new(),
        }
    }

    /// Returns the plan of a callsite; creates the plan of a new callsite.
    #[inline]
    pub(super) fn plan(&self, metadata: &'static Metadata<'static>) -> &CallsitePlan {
        let key = key(metadata);
        match self.first[hash(key) % SLOTS].get() {
            Some(plan) if plan.key == key => plan,
            _ => self.search(key, metadata),
        }
    }

    /// Returns the plan of a callsite that is new, or whose first slot belongs to another callsite.
    #[inline(never)]
    fn search(&self, key: usize, metadata: &'static Metadata<'static>) -> &CallsitePlan {
        let (mut plans, mut offset, mut next) = (&self.first[..], 0, &self.next);
        loop {
            for probe in 0..MAX_PROBES {
                let slot = (hash(key) + probe) & (plans.len() - 1);
                let make = || CallsitePlan::new(metadata, offset + slot as u32, &self.mapping);
                let plan = plans[slot].get_or_init(make);
                if plan.key == key {
                    return plan;
                }
            }
            let table = next.get_or_init(|| Box::new(Table::after(plans.len(), offset)));
            (plans, offset, next) = (&table.plans, table.offset, &table.next);
        }
    }

    /// Returns the kind of the spans with this name.
    pub(super) fn kind_named(&self, name: &str) -> Option<Kind> {
        Kind::named(name, &self.mapping.spans)
    }

    /// Returns the plan with this number.
    #[inline]
    pub(super) fn by_number(&self, number: u32) -> Option<&CallsitePlan> {
        match self.first.get(number as usize) {
            Some(plan) => plan.get(),
            None => self.by_number_in_next(number),
        }
    }

    /// Returns the plan with this number from the tables after the first.
    #[cold]
    #[inline(never)]
    fn by_number_in_next(&self, number: u32) -> Option<&CallsitePlan> {
        let mut table = self.next.get()?;
        while (number - table.offset) as usize >= table.plans.len() {
            table = table.next.get()?;
        }
        table.plans[(number - table.offset) as usize].get()
    }
}

impl Table {
    /// Returns the table that follows a table of `slots` slots whose first plan has number `offset`.
    #[cold]
    fn after(slots: usize, offset: u32) -> Self {
        Self {
            plans: vacant(slots * 2),
            offset: offset + slots as u32,
            next: OnceLock::new(),
        }
    }
}

/// Returns empty slots on the heap, because the stack may be too small.
fn vacant(slots: usize) -> Box<[OnceLock<CallsitePlan>]> {
    (0..slots).map(|_| OnceLock::new()).collect()
}

/// Returns the hash of a callsite; modulo the length of a table it is the slot of the callsite's plan.
#[inline]
fn hash(key: usize) -> usize {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

/// Returns the identity of a callsite: the address of its static metadata.
#[inline]
fn key(metadata: &'static Metadata<'static>) -> usize {
    std::ptr::from_ref(metadata).addr()
}
