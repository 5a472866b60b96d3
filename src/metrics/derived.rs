//! Derives gauges from counters: error rates, cache hit ratios, the number of series.
//!
//! A rate needs earlier values, so each tick samples the counters and stores the samples for a minute. Each tick and each
//! exposition updates the gauges.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use super::{
    catalog,
    registry::{Registry, Tables},
};
use crate::runtime::lock;

/// The window of rates and ratios.
const WINDOW: Duration = Duration::from_mins(1);
/// Min time between two samples. It bounds the number of samples, because expositions may be more frequent than ticks.
const MIN_SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The samples of the last minute.
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
    /// Errors by component.
    errors: HashMap<String, f64>,
    /// Hits, and the sum of hits and misses, by cache type.
    caches: HashMap<String, (f64, f64)>,
}

impl Derived {
    /// Takes a sample at `now` (monotonic) and sets the gauges.
    pub(crate) fn update(&self, registry: &Registry, now: Duration) {
        let totals = totals(registry);
        let mut past = lock(&self.past);
        // Removes the samples before the newest sample that is a whole window old.
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
            // Divides by a whole minute in the first minute, too: a counter that began inside the window began at 0.
            let rate = increase / seconds.max(WINDOW.as_secs_f64());
            registry.set(&catalog::ERROR_RATE, &[("component", component)], rate);
        }
        for (cache, (hits, reads)) in &totals.caches {
            let (hits_before, reads_before) = before.caches.get(cache).copied().unwrap_or_default();
            // The ratio keeps its value if the window has no read.
            if *reads > reads_before {
                let ratio = (hits - hits_before) / (reads - reads_before);
                registry.set(&catalog::CACHE_HIT_RATIO, &[("cache_type", cache)], ratio);
            }
        }
        if past
            .back()
            .is_none_or(|last| last.at + MIN_SAMPLE_INTERVAL <= now)
        {
            past.push_back(Sample { at: now, totals });
        }
        drop(past);
        for family in registry.families() {
            let labels = [("metric", &*family.name)];
            registry.set(&catalog::SERIES, &labels, family.len() as f64);
            // Creates the counter at 0, before its first event.
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
        // Only reads can hit; the ratio ignores `set` and `delete`.
        let is_read = matches!(
            label("operation").as_deref(),
            None | Some("get" | "lookup" | "read")
        );
        if let (true, Some(cache), Some(status)) = (is_read, label("cache_type"), label("status")) {
            let (hits, reads) = totals.caches.entry(cache).or_default();
            *hits += if status == "hit" { value } else { 0.0 };
            *reads += if status == "error" { 0.0 } else { value };
        }
    });
    totals
}

fn each_counter(
    registry: &Registry,
    metric: &catalog::Metric,
    mut on_series: impl FnMut(&dyn Fn(&str) -> Option<String>, f64),
) {
    let Some(family) = registry.family(&metric.full_name(registry.prefix())) else {
        return;
    };
    let Tables::Counter(table) = &family.series else {
        return;
    };
    for series in table.sorted().iter() {
        let label = |wanted: &str| series.labels.get(wanted).map(str::to_owned);
        on_series(&label, series.value().as_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    #[test]
    fn rates_and_ratios_cover_the_last_minute() {
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
        assert_eq!((rate(), ratio()), (0.0, 0.0), "older than a minute");
        derived.update(&registry, Duration::from_mins(3));
        assert_eq!(ratio(), 0.0, "no read: the ratio keeps its value");
    }
}
