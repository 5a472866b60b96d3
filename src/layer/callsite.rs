//! What a callsite is, decided once: kind and the role of each field by its index.
//!
//! A lookup is a pointer's hash and, nearly always, one comparison; no lock. A table that is full is followed by
//! a larger one, so every callsite has its plan.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use tracing::{Level, Metadata};

use super::{
    event_fields::Named,
    fields::{self, AlertField, Role},
    kind::Kind,
};
use crate::privacy::is_content;

/// Names of the application's, mapped to names that the Layer knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapping {
    /// Span names: `generate` → `inference`.
    pub spans: BTreeMap<String, String>,
    /// Field names: `llm` → `model_id`.
    pub fields: BTreeMap<String, String>,
}

impl Mapping {
    /// Maps a span name of the application's to one that the Layer knows.
    #[must_use]
    pub fn with_span(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.spans.insert(yours.into(), known.into());
        self
    }

    /// Maps a field name of the application's to one that the Layer knows.
    #[must_use]
    pub fn with_field(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.fields.insert(yours.into(), known.into());
        self
    }
}

/// What each field means. Any byte is a place in it, so nothing is checked: a callsite with more fields than that has
/// none that are read.
type Roles = [Role; 1 << 8];

/// What is to be done with the spans or events of one callsite.
#[derive(Debug)]
pub(super) struct Plan {
    key: usize,
    pub(super) number: u32,
    pub(super) interest: Interest,
    roles: Arc<Roles>,
    /// What most spans are that are asked about; it stands in `interest`, too.
    pub(super) is_inference: bool,
    /// A span that declares `status` and closes without it was cancelled.
    pub(super) declares_status: bool,
}

/// What a callsite is to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Nothing,
    Span(Kind),
    /// A span that says in `observatory.kind` what it is.
    SpanByField,
    Event(EventPlan),
}

/// What is to be done with the events of one callsite.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent answers to independent questions"
)]
pub(super) struct EventPlan {
    pub(super) is_error: bool,
    pub(super) has_metrics: bool,
    /// It raises an alert, or says that one is over.
    pub(super) has_alert: bool,
    /// Known by the callsite's name.
    pub(super) named: Option<Named>,
    /// The message may be the name of an event of ours.
    pub(super) may_be_named: bool,
    /// It has a field for a number that belongs to an event of ours.
    pub(super) has_amount: bool,
}

impl Plan {
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
                .map_or(Interest::Nothing, Interest::Span)
        };
        let declares_status = roles.contains(&Role::Status);
        Self {
            key: key(metadata),
            number,
            is_inference: interest == Interest::Span(Kind::Inference),
            interest,
            roles: places(&roles),
            declares_status,
        }
    }

    /// A plan for nothing, with this number.
    #[cfg(test)]
    pub(super) fn of_test(number: u32) -> Self {
        Self {
            key: 0,
            number,
            interest: Interest::Nothing,
            is_inference: false,
            roles: places(&[]),
            declares_status: false,
        }
    }

    fn event(metadata: &Metadata<'_>, roles: &[Role]) -> Interest {
        let named = Named::parse(metadata.name());
        let has_metrics = roles.iter().any(|role| matches!(role, Role::Metric(_)));
        let has_alert = roles
            .iter()
            .any(|role| matches!(role, Role::Alert(AlertField::Rule | AlertField::Resolve)));
        let is_error = *metadata.level() == Level::ERROR;
        // `info!("token")`: only events whose other fields are all known are worth a look at their message.
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
            Interest::Nothing
        }
    }
}

/// Roles in their places. Most callsites have none, and share one.
fn places(roles: &[Role]) -> Arc<Roles> {
    static NONE: LazyLock<Arc<Roles>> = LazyLock::new(|| Arc::new([Role::None; _]));
    let mut places = [Role::None; _];
    match places.get_mut(..roles.len()) {
        Some(place) if roles.iter().any(|role| *role != Role::None) => {
            place.copy_from_slice(roles);
            Arc::new(places)
        }
        _ => Arc::clone(&NONE),
    }
}

/// The plans of all callsites seen so far.
pub(super) struct Callsites {
    mapping: Mapping,
    /// Of a length that the compiler knows, so that a place in it needs no check.
    first: Box<[OnceLock<Plan>; PLACES]>,
    beyond: Beyond,
}

/// The tables behind one.
type Beyond = OnceLock<Box<Table>>;

struct Table {
    plans: Box<[OnceLock<Plan>]>,
    /// Number of the plan in place 0.
    offset: u32,
    beyond: Beyond,
}

/// Places in the first table; each further one has twice as many.
const PLACES: usize = 1024;
/// Places looked at before going on to the next table.
const PROBES: usize = 16;

impl Callsites {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            first: vacant(PLACES)
                .try_into()
                .unwrap_or_else(|_| unreachable!("it has as many places")),
            beyond: OnceLock::new(),
        }
    }

    /// The plan of a callsite.
    #[inline]
    pub(super) fn plan(&self, metadata: &'static Metadata<'static>) -> &Plan {
        let key = key(metadata);
        match self.first[hash(key) % PLACES].get() {
            Some(plan) if plan.key == key => plan,
            _ => self.search(key, metadata),
        }
    }

    /// The plan of a callsite that is new, or met another one in its place.
    #[inline(never)]
    fn search(&self, key: usize, metadata: &'static Metadata<'static>) -> &Plan {
        let (mut plans, mut offset, mut beyond) = (&self.first[..], 0, &self.beyond);
        loop {
            for probe in 0..PROBES {
                let place = (hash(key) + probe) & (plans.len() - 1);
                let make = || Plan::new(metadata, offset + place as u32, &self.mapping);
                let plan = plans[place].get_or_init(make);
                if plan.key == key {
                    return plan;
                }
            }
            let table = beyond.get_or_init(|| Box::new(Table::behind(plans.len(), offset)));
            (plans, offset, beyond) = (&table.plans, table.offset, &table.beyond);
        }
    }

    /// The kind with this name.
    pub(super) fn kind_named(&self, name: &str) -> Option<Kind> {
        Kind::named(name, &self.mapping.spans)
    }

    /// The plan with this number.
    #[inline]
    pub(super) fn numbered(&self, number: u32) -> Option<&Plan> {
        match self.first.get(number as usize) {
            Some(plan) => plan.get(),
            None => self.numbered_beyond(number),
        }
    }

    /// The plan with this number, which is not in the first table.
    #[cold]
    #[inline(never)]
    fn numbered_beyond(&self, number: u32) -> Option<&Plan> {
        let mut table = self.beyond.get()?;
        while (number - table.offset) as usize >= table.plans.len() {
            table = table.beyond.get()?;
        }
        table.plans[(number - table.offset) as usize].get()
    }
}

impl Table {
    /// The one behind a table of `places` whose first plan has number `offset`.
    #[cold]
    fn behind(places: usize, offset: u32) -> Self {
        Self {
            plans: vacant(places * 2),
            offset: offset + places as u32,
            beyond: OnceLock::new(),
        }
    }
}

/// Places on the heap, since a stack may not have room for them.
fn vacant(places: usize) -> Box<[OnceLock<Plan>]> {
    (0..places).map(|_| OnceLock::new()).collect()
}

/// Where a callsite's plan is, modulo the length of its table.
#[inline]
fn hash(key: usize) -> usize {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

/// Metadata is static, so its address is a callsite's identity.
#[inline]
fn key(metadata: &'static Metadata<'static>) -> usize {
    std::ptr::from_ref(metadata).addr()
}
