//! Decides from the spans of a trace whether the trace is kept: failures, durations, costs, attributes, a ratio.

use std::time::Duration;

use opentelemetry::{Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    observation::{Kind, Mapping},
    privacy::Glob,
    traces::TailConfig,
    traces::sampling::Ratio,
};

/// Attributes with a cost in US dollars.
const COSTS: [&str; 3] = ["cost_usd", "gen_ai.usage.cost", "llm.cost.total"];

/// The conditions under which a trace is kept.
pub(super) struct KeepPolicy {
    ratio: Ratio,
    keeps_errors: bool,
    slow: Vec<(Kind, Duration)>,
    slower_than: Option<Duration>,
    cost: Option<f64>,
    attributes: Vec<(String, Glob)>,
    /// The mapping of names of the application.
    mapping: Mapping,
}

/// The state of the conditions for a trace, over its spans so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Findings {
    is_matched: bool,
    cost_usd: f64,
}

impl KeepPolicy {
    pub(super) fn new(config: &TailConfig, mapping: &Mapping) -> Self {
        let slow = config.slow.iter();
        Self {
            ratio: Ratio::new(config.ratio),
            keeps_errors: config.keeps_errors,
            slow: slow
                .filter_map(|(name, threshold)| {
                    Some((Kind::named(name, &mapping.spans)?, *threshold))
                })
                .collect(),
            slower_than: config.slower_than,
            cost: config.cost_usd,
            attributes: config
                .attributes
                .iter()
                .map(|(name, pattern)| (name.clone(), Glob::new(pattern)))
                .collect(),
            mapping: mapping.clone(),
        }
    }

    /// Applies the conditions to a span.
    pub(super) fn add(&self, findings: &mut Findings, span: &SpanData) {
        if findings.is_matched {
            return;
        }
        findings.cost_usd += cost(span);
        findings.is_matched = (self.keeps_errors && matches!(span.status, Status::Error { .. }))
            || self.is_slow(span)
            || self.cost.is_some_and(|least| findings.cost_usd >= least)
            || self.has_attribute(span);
    }

    /// Returns `true` if a trace is kept, by a condition or by the ratio.
    pub(super) fn keep(&self, findings: Findings, trace_id: u128) -> bool {
        findings.is_matched || self.ratio.contains(mixed(trace_id))
    }

    /// Returns `true` if a trace is kept when it is evicted before its end.
    pub(super) fn keeps_on_overflow(findings: Findings) -> bool {
        findings.is_matched
    }

    fn is_slow(&self, span: &SpanData) -> bool {
        let took = span.end_time.duration_since(span.start_time);
        let took = took.unwrap_or_default();
        if self.slower_than.is_some_and(|least| took >= least) {
            return true;
        }
        let may_be = self.slow.iter().any(|(_, least)| took >= *least);
        may_be
            && self.kind(span).is_some_and(|kind| {
                let mut slow = self.slow.iter();
                slow.any(|(slow, least)| *slow == kind && took >= *least)
            })
    }

    /// The kind of a span, by the same rules as in the Layer, as far as the exported data has the fields.
    fn kind(&self, span: &SpanData) -> Option<Kind> {
        let attributes = || span.attributes.iter();
        let declared = attributes().find(|pair| pair.key.as_str() == "observatory.kind");
        match declared {
            Some(pair) => Kind::named(&pair.value.as_str(), &self.mapping.spans),
            None => Kind::named(&span.name, &self.mapping.spans).or_else(|| {
                let renamed = |key| self.mapping.fields.get(key).map_or(key, String::as_str);
                attributes().find_map(|pair| Kind::of_field(renamed(pair.key.as_str())))
            }),
        }
    }

    fn has_attribute(&self, span: &SpanData) -> bool {
        self.attributes.iter().any(|(name, pattern)| {
            let mut pairs = span.attributes.iter();
            pairs.any(|pair| pair.key.as_str() == name && pattern.matches(&pair.value.as_str()))
        })
    }
}

/// Hashes a trace id, in every process alike. Head sampling has decided by the id itself: of the ids that it has let
/// through, a ratio would contain all or too many.
fn mixed(trace_id: u128) -> u128 {
    #[expect(clippy::cast_possible_truncation, reason = "a half at a time")]
    let [high, low] = [(trace_id >> 64) as u64, trace_id as u64];
    // SplitMix64.
    let mut mixed = high.rotate_left(32) ^ low.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    u128::from(mixed ^ (mixed >> 31))
}

/// The cost of a span, from the first attribute that has it.
fn cost(span: &SpanData) -> f64 {
    let named = |name: &&str| {
        span.attributes
            .iter()
            .find(|pair| pair.key.as_str() == *name)
    };
    let cost = COSTS.iter().find_map(named).map(|pair| match &pair.value {
        Value::F64(cost) => *cost,
        Value::I64(cost) => *cost as f64,
        Value::String(text) => text.as_str().parse().unwrap_or_default(),
        _ => 0.0,
    });
    // NaN, infinite and negative costs count as 0.
    cost.filter(|cost| cost.is_finite())
        .unwrap_or_default()
        .max(0.0)
}
