//! What makes a trace worth keeping, span by span.

use std::time::Duration;

use opentelemetry::{Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    observation::{Kind, Mapping},
    privacy::Glob,
    traces::TailConfig,
    traces::sampling::Ratio,
};

/// Attributes that say what something cost, in US dollars.
const COSTS: [&str; 3] = ["cost_usd", "gen_ai.usage.cost", "llm.cost.total"];

/// What makes a trace worth keeping.
pub(super) struct Merits {
    ratio: Ratio,
    keeps_errors: bool,
    slow: Vec<(Kind, Duration)>,
    slower_than: Option<Duration>,
    cost: Option<f64>,
    attributes: Vec<(String, Glob)>,
    /// The application's own names.
    mapping: Mapping,
}

/// What is known of a trace so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Merit {
    is_wanted: bool,
    cost: f64,
}

impl Merits {
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

    /// Adds what a span says.
    pub(super) fn add(&self, merit: &mut Merit, span: &SpanData) {
        if merit.is_wanted {
            return;
        }
        merit.cost += cost(span);
        merit.is_wanted = (self.keeps_errors && matches!(span.status, Status::Error { .. }))
            || self.is_slow(span)
            || self.cost.is_some_and(|least| merit.cost >= least)
            || self.has_attribute(span);
    }

    /// Whether a trace is kept, on its merit or as one of the rest.
    pub(super) fn keep(&self, merit: Merit, trace_id: u128) -> bool {
        merit.is_wanted || self.ratio.holds(mixed(trace_id))
    }

    /// Whether a trace is kept that there is no room for.
    pub(super) fn keep_all_the_same(merit: Merit) -> bool {
        merit.is_wanted
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

    /// As the Layer tells kinds, by what of it reaches a span's data.
    fn kind(&self, span: &SpanData) -> Option<Kind> {
        let attributes = || span.attributes.iter();
        let said = attributes().find(|pair| pair.key.as_str() == "observatory.kind");
        match said {
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

/// Another number for the same id, the same everywhere: whoever has drawn by the id itself, as head sampling does, has
/// left only ids that a share of which would hold again.
fn mixed(trace_id: u128) -> u128 {
    #[expect(clippy::cast_possible_truncation, reason = "a half at a time")]
    let [high, low] = [(trace_id >> 64) as u64, trace_id as u64];
    // SplitMix64.
    let mut mixed = high.rotate_left(32) ^ low.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    u128::from(mixed ^ (mixed >> 31))
}

/// What a span cost; the first attribute that says it counts.
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
    // What is no number, or negative, costs nothing.
    cost.filter(|cost| cost.is_finite())
        .unwrap_or_default()
        .max(0.0)
}
