//! Gauges that follow from counters: error rates, cache hit ratios, the number of series.
//!
//! A rate needs a past, so counters are sampled at each tick and kept for a minute. The gauges are brought up
//! to date at each tick and before each exposition.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    catalog,
    registry::{Registry, Tables},
};

/// How far back rates and ratios look.
const WINDOW: Duration = Duration::from_mins(1);
/// Least time between two samples, which bounds their number; expositions may come more often than ticks.
const BETWEEN_SAMPLES: Duration = Duration::from_secs(1);

/// Counters of the last minute, and the gauges that follow from them.
#[derive(Default)]
pub(crate) struct Derived {
    past: Mutex<VecDeque<Sample>>,
}

struct Sample {
    at: Duration,
    totals: Totals,
}

#[derive(Clone, Default)]
struct Totals {
    /// By component.
    errors: HashMap<String, f64>,
    /// By cache type: hits, and hits with misses.
    caches: HashMap<String, (f64, f64)>,
}

impl Derived {
    /// Takes a sample at `now` (monotonic) and sets the gauges.
    pub(crate) fn update(&self, registry: &Registry, now: Duration) {
        let totals = totals(registry);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest sample that is a whole window old is the one to compare with; older ones can go.
        while past.get(1).is_some_and(|second| second.at + WINDOW <= now) {
            past.pop_front();
        }
        let first = past.front();
        let before = first
            .map(|sample| sample.totals.clone())
            .unwrap_or_default();
        let seconds = first.map_or(0.0, |sample| now.saturating_sub(sample.at).as_secs_f64());
        for (component, errors) in &totals.errors {
            let increase = errors - before.errors.get(component).copied().unwrap_or(0.0);
            // Over a whole minute, also in the first one: what began inside the window began at 0.
            let rate = increase / seconds.max(WINDOW.as_secs_f64());
            registry
                .gauge(&catalog::ERROR_RATE, &[("component", component)])
                .set(rate);
        }
        for (cache, (hits, asked)) in &totals.caches {
            let (hits_before, asked_before) = before.caches.get(cache).copied().unwrap_or_default();
            // Without any question in the window the last answer stands.
            if *asked > asked_before {
                let ratio = (hits - hits_before) / (asked - asked_before);
                registry
                    .gauge(&catalog::CACHE_HIT_RATIO, &[("cache_type", cache)])
                    .set(ratio);
            }
        }
        if past
            .back()
            .is_none_or(|last| last.at + BETWEEN_SAMPLES <= now)
        {
            past.push_back(Sample { at: now, totals });
        }
        drop(past);
        for family in registry.families() {
            let labels = [("metric", &*family.name)];
            registry
                .gauge(&catalog::SERIES, &labels)
                .set(family.len() as f64);
            // At 0 before its first event.
            registry.counter(&catalog::SERIES_OVERFLOWED, &labels);
        }
    }
}

fn totals(registry: &Registry) -> Totals {
    let mut totals = Totals::default();
    each_counter(registry, &catalog::ERRORS, |label, value| {
        if let Some(component) = label("component") {
            *totals.errors.entry(component).or_default() += value;
        }
    });
    each_counter(registry, &catalog::CACHE_OPERATIONS, |label, value| {
        // Only questions can hit; `set` and `delete` are no part of a ratio.
        let is_question = matches!(
            label("operation").as_deref(),
            None | Some("get" | "lookup" | "read")
        );
        if let (true, Some(cache), Some(status)) =
            (is_question, label("cache_type"), label("status"))
        {
            let (hits, asked) = totals.caches.entry(cache).or_default();
            *hits += if status == "hit" { value } else { 0.0 };
            *asked += if status == "error" { 0.0 } else { value };
        }
    });
    totals
}

fn each_counter(
    registry: &Registry,
    metric: &catalog::Metric,
    mut visit: impl FnMut(&dyn Fn(&str) -> Option<String>, f64),
) {
    let Some(family) = registry.family(&metric.full_name(registry.prefix())) else {
        return;
    };
    let Tables::Counter(table) = &family.series else {
        return;
    };
    for series in table.sorted().iter() {
        let label = |wanted: &str| series.labels.get(wanted).map(str::to_owned);
        visit(&label, series.value().as_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    #[test]
    fn rates_and_ratios_are_those_of_the_last_minute() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let derived = Derived::default();
        let errors = registry.counter(
            &catalog::ERRORS,
            &[("component", "db"), ("error_type", "e")],
        );
        let cache = |status| {
            registry.counter(
                &catalog::CACHE_OPERATIONS,
                &[
                    ("operation", "get"),
                    ("cache_type", "kv"),
                    ("status", status),
                ],
            )
        };
        let rate = || {
            registry
                .gauge(&catalog::ERROR_RATE, &[("component", "db")])
                .value()
        };
        let ratio = || {
            registry
                .gauge(&catalog::CACHE_HIT_RATIO, &[("cache_type", "kv")])
                .value()
        };
        derived.update(&registry, Duration::ZERO);
        errors.add(60);
        cache("hit").add(3);
        cache("miss").add(1);
        cache("error").add(9);
        derived.update(&registry, Duration::from_mins(1));
        assert_eq!((rate(), ratio()), (1.0, 0.75));
        cache("miss").add(1);
        derived.update(&registry, Duration::from_mins(2));
        assert_eq!(
            (rate(), ratio()),
            (0.0, 0.0),
            "what is older than a minute is gone"
        );
        derived.update(&registry, Duration::from_mins(3));
        assert_eq!(ratio(), 0.0, "no question: the last answer stands");
    }
}
