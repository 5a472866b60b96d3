//! Finds the exemplars of series, for `query_exemplars` and for the trace links of alerts.
//!
//! The registry holds the newest exemplar of each counter and of each bucket of a histogram; older exemplars are lost.

use std::ops::RangeInclusive;

use super::collector::labels;
use crate::{
    metrics::registry::{Exemplar, Family, LabelSet, Registry, Tables},
    query::{Labels, MatchOp, Matcher},
};

const NAME: &str = "__name__";

/// An exemplar and the labels of its series.
pub(crate) struct SeriesExemplar {
    pub(crate) labels: Labels,
    pub(crate) exemplar: Exemplar,
}

/// A range of times, in milliseconds since the epoch.
pub(crate) type TimeRange = RangeInclusive<i64>;

/// Moves the times of all exemplars by a step of the wall clock, so that they stay within the ranges of queries.
pub(super) fn shift(registry: &Registry, by_ms: i64) {
    for family in registry.families() {
        match &family.series {
            Tables::Counter(table) => {
                let all = table.sorted();
                all.iter().for_each(|series| series.shift_exemplars(by_ms));
            }
            Tables::Histogram(table, ..) => {
                let all = table.sorted();
                all.iter().for_each(|series| series.shift_exemplars(by_ms));
            }
            Tables::Gauge(_) => {}
        }
    }
}

/// Returns the exemplars of the series that satisfy all matchers of any selector of `wanted`.
#[cfg(feature = "server")]
pub(crate) fn matching(
    registry: &Registry,
    wanted: &[&[Matcher]],
    times: &TimeRange,
) -> Vec<SeriesExemplar> {
    let mut all = Vec::new();
    for family in registry.families() {
        of_family(&family, wanted, times, &mut all);
    }
    all
}

/// Returns the most telling trace of an alert whose rule has this selector: the trace with the greatest value of a
/// histogram, or the newest trace of a counter.
pub(crate) fn most_telling_trace(
    registry: &Registry,
    selector: &[Matcher],
    alert: &Labels,
    times: &TimeRange,
) -> Option<u128> {
    let (family, wanted) = family_of(registry, selector)?;
    let mut found = Vec::new();
    of_family(&family, &[&wanted], times, &mut found);
    // The alert has the labels that the expression kept: they select the series. Other labels were aggregated away.
    found.retain(|found| {
        let mut own = found.labels.iter();
        own.all(|label| match alert.get(label.name()) {
            Some(value) if label.name() != NAME => value == label.value(),
            _ => true,
        })
    });
    let order = |a: &SeriesExemplar, b: &SeriesExemplar| {
        let key = |found: &SeriesExemplar| (found.exemplar.value, found.exemplar.seconds());
        let ((a, since), (b, then)) = (key(a), key(b));
        a.total_cmp(&b).then(since.total_cmp(&then))
    };
    let best = found.into_iter().max_by(order)?;
    Some(best.exemplar.trace.trace_id)
}

/// Returns the family that a selector names, and the matchers for those series of the family that have exemplars.
fn family_of(
    registry: &Registry,
    selector: &[Matcher],
) -> Option<(std::sync::Arc<Family>, Vec<Matcher>)> {
    let name = name_of(selector)?;
    if let Some(family) = registry.family(name) {
        return Some((family, selector.to_vec()));
    }
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().find_map(|end| name.strip_suffix(end))?;
    let family = registry.family(base)?;
    let others = selector
        .iter()
        .filter(|m| ![NAME, "le"].contains(&m.name()));
    let buckets = Matcher::equal(NAME, format!("{base}_bucket"));
    Some((family, others.cloned().chain([buckets]).collect()))
}

fn name_of(selector: &[Matcher]) -> Option<&str> {
    let is_name = |m: &&Matcher| m.name() == NAME && m.op() == MatchOp::Equal;
    selector.iter().find(is_name).map(Matcher::value)
}

fn of_family(
    family: &Family,
    wanted: &[&[Matcher]],
    times: &TimeRange,
    all: &mut Vec<SeriesExemplar>,
) {
    let mut offer = |name: &str, own: &LabelSet, le: Option<&str>, exemplar: Exemplar| {
        if !times.contains(&((exemplar.seconds() * 1e3) as i64)) {
            return;
        }
        let labels = labels(name, own, le);
        let meets = |matchers: &&[Matcher]| matchers.iter().all(|m| m.is_met_by(&labels));
        if wanted.iter().any(meets) {
            all.push(SeriesExemplar { labels, exemplar });
        }
    };
    match &family.series {
        Tables::Counter(table) => {
            for series in table.sorted().iter() {
                if let Some(exemplar) = series.exemplar() {
                    offer(&family.name, &series.labels, None, exemplar);
                }
            }
        }
        Tables::Histogram(table, ..) => {
            let name = format!("{}_bucket", family.name);
            for series in table.sorted().iter() {
                let buckets = series.exemplars().into_iter().flatten().enumerate();
                for (bucket, exemplar) in buckets {
                    let le = series.bounds().le().get(bucket);
                    let le = le.map_or("+Inf", String::as_str);
                    if let Some(exemplar) = exemplar {
                        offer(&name, &series.labels, Some(le), exemplar);
                    }
                }
            }
        }
        Tables::Gauge(_) => {}
    }
}
