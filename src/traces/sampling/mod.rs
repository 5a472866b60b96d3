//! Decides at the first span of a trace whether the trace is sampled.

mod limit;
mod ratio;
mod remote_decision;
mod rule;

use std::time::Duration;

use opentelemetry::Context;
use tracing::span::Attributes;

use self::{limit::RateLimit, rule::Rule};
pub(in crate::traces) use self::{ratio::Ratio, remote_decision::RemoteDecision};
pub(in crate::traces) use crate::runtime::random::random;
use crate::{observation::Mapping, traces::SamplingConfig};

/// Decides whether traces are sampled: by the remote parent, rules, a ratio and a rate limit.
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

    /// Sets the mapping of names of the application, which rules use.
    pub(in crate::traces) fn with_mapping(mut self, mapping: &Mapping) -> Self {
        self.mapping = mapping.clone();
        self
    }

    /// Returns `true` if a trace that starts with this span is sampled. Calls `now` only if a rate limit is set.
    #[inline]
    pub(in crate::traces) fn draw(
        &self,
        attributes: &Attributes<'_>,
        now: impl FnOnce() -> Duration,
    ) -> bool {
        if attributes.is_contextual()
            && let Some(is_sampled) = Context::map_current(|current| self.remote_decision(current))
        {
            return is_sampled;
        }
        let ratio = if self.rules.is_empty() {
            self.ratio
        } else {
            rule::first_match(&self.rules, &self.mapping, attributes).unwrap_or(self.ratio)
        };
        ratio.draw() && self.limit.as_ref().is_none_or(|limit| limit.allows(now()))
    }

    /// Returns the rate limit's permit of a span that [`HeadSampler::draw`] accepted and that got a remote parent.
    pub(in crate::traces) fn release_rate_limit(&self) {
        if let Some(limit) = &self.limit {
            limit.give_back();
        }
    }

    /// The decision of the caller on a trace that starts under this context.
    pub(in crate::traces) fn remote_decision(&self, context: &Context) -> Option<bool> {
        RemoteDecision::of_new_trace(context).filter(|_| self.respects_parent)
    }

    /// Returns `true` if a trace of a remote parent is sampled; `is_sampled` is `None` if the caller has left the
    /// decision open.
    pub(in crate::traces) fn continues(&self, trace_id: u128, is_sampled: Option<bool>) -> bool {
        is_sampled
            .filter(|_| self.respects_parent)
            .unwrap_or_else(|| self.ratio.contains(trace_id))
    }

    /// A new id for a trace that is sampled, or unsampled.
    pub(in crate::traces) fn trace_id(&self, is_sampled: bool) -> u128 {
        self.ratio.trace_id(is_sampled)
    }
}
