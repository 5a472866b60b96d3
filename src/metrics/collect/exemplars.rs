//! Finds the traces behind series: for `query_exemplars`, and for alerts to link to.
//!
//! The registry holds the newest exemplar of each counter and of each bucket of a histogram, so that is what there is
//! to be found.

use std::ops::RangeInclusive;

use super::collector::labels;
use crate::{
    metrics::registry::{Exemplar, Family, LabelSet, Registry, Tables},
    query::{Labels, MatchOp, Matcher},
};

const NAME: &str = "__name__";

/// An exemplar, and the series it belongs to.
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) exemplar: Exemplar,
}

/// Times in milliseconds since the epoch.
pub(crate) type Times = RangeInclusive<i64>;

/// The exemplars of series that meet all matchers of one of `wanted`.
#[cfg(feature = "server")]
pub(crate) fn of(registry: &Registry, wanted: &[&[Matcher]], times: &Times) -> Vec<Found> {
    let mut all = Vec::new();
    for family in registry.families() {
        of_family(&family, wanted, times, &mut all);
    }
    all
}

/// The trace that tells most about an alert with these labels over an expression with this selector: of a histogram
/// the one with the greatest value, of a counter the newest.
pub(crate) fn behind(
    registry: &Registry,
    selector: &[Matcher],
    alert: &Labels,
    times: &Times,
) -> Option<u128> {
    let (family, wanted) = measured(registry, selector)?;
    let mut found = Vec::new();
    of_family(&family, &[&wanted], times, &mut found);
    // What the expression took together has no say; what it kept, the alert has.
    found.retain(|found| {
        let mut own = found.labels.iter();
        own.all(|label| match alert.get(label.name()) {
            Some(value) if label.name() != NAME => value == label.value(),
            _ => true,
        })
    });
    let tells_more = |a: &Found, b: &Found| {
        let key = |found: &Found| (found.exemplar.value, found.exemplar.seconds());
        let ((a, since), (b, then)) = (key(a), key(b));
        a.total_cmp(&b).then(since.total_cmp(&then))
    };
    let best = found.into_iter().max_by(tells_more)?;
    Some(best.exemplar.trace.trace_id)
}

/// The family that a selector speaks of, and what it asks of its series that have exemplars.
fn measured(
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

fn of_family(family: &Family, wanted: &[&[Matcher]], times: &Times, all: &mut Vec<Found>) {
    let mut offer = |name: &str, own: &LabelSet, le: Option<&str>, exemplar: Exemplar| {
        if !times.contains(&((exemplar.seconds() * 1e3) as i64)) {
            return;
        }
        let labels = labels(name, own, le);
        let meets = |matchers: &&[Matcher]| matchers.iter().all(|m| m.is_met_by(&labels));
        if wanted.iter().any(meets) {
            all.push(Found { labels, exemplar });
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
