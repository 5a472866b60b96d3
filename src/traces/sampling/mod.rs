//! Which traces are kept, decided where a trace begins, before anything is done for it.

mod elsewhere;
mod limit;
mod ratio;
mod rule;

use std::time::Duration;

use opentelemetry::Context;
use tracing::span::Attributes;

pub(in crate::traces) use self::{elsewhere::Elsewhere, ratio::Ratio};
use self::{limit::RateLimit, rule::Rule};
pub(in crate::traces) use crate::runtime::random::random;
use crate::{observation::Mapping, traces::SamplingConfig};

/// Decides which traces are kept.
#[derive(Debug)]
pub(in crate::traces) struct HeadSampler {
    ratio: Ratio,
    respects_parent: bool,
    rules: Vec<Rule>,
    mapping: Mapping,
    limit: Option<RateLimit>,
}

impl HeadSampler {
    pub(in crate::traces) fn new(config: &SamplingConfig) -> Self {
        Self {
            ratio: Ratio::new(config.ratio),
            respects_parent: config.respects_parent,
            rules: config.rules.iter().map(Rule::new).collect(),
            mapping: Mapping::default(),
            limit: config.traces_per_second.map(RateLimit::new),
        }
    }

    /// Sets what names of the application's mean, for rules.
    pub(in crate::traces) fn with_mapping(mut self, mapping: &Mapping) -> Self {
        self.mapping = mapping.clone();
        self
    }

    /// Whether a trace that begins with this span is kept; `now` is asked only where there is a limit.
    #[inline]
    pub(in crate::traces) fn begins(
        &self,
        attributes: &Attributes<'_>,
        now: impl FnOnce() -> Duration,
    ) -> bool {
        if attributes.is_contextual()
            && let Some(is_kept) = Context::map_current(|current| self.told(current))
        {
            return is_kept;
        }
        let ratio = if self.rules.is_empty() {
            self.ratio
        } else {
            rule::first_match(&self.rules, &self.mapping, attributes).unwrap_or(self.ratio)
        };
        ratio.draw() && self.limit.as_ref().is_none_or(|limit| limit.allows(now()))
    }

    /// A trace that [`HeadSampler::begins`] kept turned out to have begun elsewhere: another one may take its place.
    pub(in crate::traces) fn began_elsewhere(&self) {
        if let Some(limit) = &self.limit {
            limit.give_back();
        }
    }

    /// What was decided elsewhere of a trace that begins under this context.
    pub(in crate::traces) fn told(&self, context: &Context) -> Option<bool> {
        Elsewhere::begins(context).filter(|_| self.respects_parent)
    }

    /// Whether a trace that began elsewhere is kept; `is_sampled` is `None` where nobody decided yet.
    pub(in crate::traces) fn continues(&self, trace_id: u128, is_sampled: Option<bool>) -> bool {
        is_sampled
            .filter(|_| self.respects_parent)
            .unwrap_or_else(|| self.ratio.holds(trace_id))
    }

    /// A new id for a trace that is kept, or is not.
    pub(in crate::traces) fn trace_id(&self, is_sampled: bool) -> u128 {
        self.ratio.trace_id(is_sampled)
    }
}
