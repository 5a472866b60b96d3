//! What a callsite is, decided once: kind and the role of each field by its index.
//!
//! A lookup is a pointer's hash and, nearly always, one comparison; no lock. A table that is full is followed by
//! a larger one, so every callsite has its plan.

use std::{collections::BTreeMap, sync::OnceLock};

use tracing::{Level, Metadata};

use super::{
    event_fields::Named,
    fields::{self, AlertField, Role},
    kind::Kind,
};

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

/// What is to be done with the spans or events of one callsite.
#[derive(Debug)]
pub(super) struct Plan {
    key: usize,
    pub(super) number: u32,
    pub(super) interest: Interest,
    roles: Box<[Role]>,
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
        self.roles.get(index).copied().unwrap_or(Role::None)
    }

    fn new(metadata: &'static Metadata<'static>, number: u32, mapping: &Mapping) -> Self {
        let fields = || metadata.fields().iter().map(|field| field.name());
        let roles: Box<[Role]> = fields()
            .map(|name| fields::role(name, &mapping.fields))
            .collect();
        let interest = if metadata.is_event() {
            Self::event(metadata, &roles)
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
            interest,
            roles,
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
            roles: Box::default(),
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

/// The plans of all callsites seen so far.
pub(super) struct Callsites {
    mapping: Mapping,
    first: Table,
}

struct Table {
    plans: Box<[OnceLock<Plan>]>,
    /// Number of the plan in place 0.
    offset: u32,
    next: OnceLock<Box<Table>>,
}

/// Places in the first table; each further one has twice as many.
const PLACES: usize = 1024;
/// Places looked at before going on to the next table.
const PROBES: usize = 16;

impl Callsites {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            first: Table::new(PLACES, 0),
        }
    }

    /// The plan of a callsite.
    #[inline]
    pub(super) fn plan(&self, metadata: &'static Metadata<'static>) -> &Plan {
        let key = key(metadata);
        match self.first.first_choice(key) {
            Some(plan) if plan.key == key => plan,
            _ => self.search(key, metadata),
        }
    }

    /// The plan of a callsite that is new, or met another one in its place.
    #[inline(never)]
    fn search(&self, key: usize, metadata: &'static Metadata<'static>) -> &Plan {
        let mut table = &self.first;
        loop {
            if let Some(plan) = table.plan(key, metadata, &self.mapping) {
                return plan;
            }
            table = table.next();
        }
    }

    /// The kind with this name.
    pub(super) fn kind_named(&self, name: &str) -> Option<Kind> {
        Kind::named(name, &self.mapping.spans)
    }

    /// The plan with this number.
    #[inline]
    pub(super) fn numbered(&self, number: u32) -> Option<&Plan> {
        match self.first.plans.get(number as usize) {
            Some(plan) => plan.get(),
            None => self.numbered_beyond(number),
        }
    }

    /// The plan with this number, which is not in the first table.
    #[cold]
    #[inline(never)]
    fn numbered_beyond(&self, number: u32) -> Option<&Plan> {
        let mut table = &self.first;
        let mut place = number as usize;
        while place >= table.plans.len() {
            place -= table.plans.len();
            table = table.next.get()?;
        }
        table.plans.get(place)?.get()
    }
}

impl Table {
    fn new(places: usize, offset: u32) -> Self {
        Self {
            plans: (0..places).map(|_| OnceLock::new()).collect(),
            offset,
            next: OnceLock::new(),
        }
    }

    /// The plan in the place where that of `key` is, unless another came first.
    #[inline]
    fn first_choice(&self, key: usize) -> Option<&Plan> {
        self.plans.get(self.place(key, 0))?.get()
    }

    #[inline]
    fn place(&self, key: usize, probe: usize) -> usize {
        let start = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        (start + probe) & (self.plans.len() - 1)
    }

    fn plan(
        &self,
        key: usize,
        metadata: &'static Metadata<'static>,
        mapping: &Mapping,
    ) -> Option<&Plan> {
        for probe in 0..PROBES {
            let place = self.place(key, probe);
            let plan = self.plans.get(place)?;
            let plan = match plan.get() {
                Some(plan) => plan,
                None => {
                    plan.get_or_init(|| Plan::new(metadata, self.offset + place as u32, mapping))
                }
            };
            if plan.key == key {
                return Some(plan);
            }
        }
        None
    }

    #[cold]
    fn next(&self) -> &Self {
        let places = self.plans.len();
        self.next
            .get_or_init(|| Box::new(Self::new(places * 2, self.offset + places as u32)))
    }
}

/// Metadata is static, so its address is a callsite's identity.
#[inline]
fn key(metadata: &'static Metadata<'static>) -> usize {
    std::ptr::from_ref(metadata).addr()
}
