//! The samples that both engines get: counters with resets and gaps, gauges with NaN and infinities, valid and invalid
//! classic histograms, and series that end, start late or have a single sample.

use promql_engine::Labels;
use promql_engine::store::{STALE_MARKER_BITS, SeriesStore};

use super::prometheus::Series;
use super::random::Random;

/// 2023-11-14T22:13:20Z: a round number of seconds, far from any limit.
pub(crate) const START: i64 = 1_700_000_000_000;
/// Less than an hour: Prometheus's head block accepts no older samples.
pub(crate) const STEPS: i64 = 200;
pub(crate) const STEP: i64 = 15_000;

fn series(labels: &[(&'static str, &str)], mut value: impl FnMut(i64) -> Option<f64>) -> Series {
    // Series are not scraped at the same moment.
    let shift = labels.iter().map(|(_, v)| v.len() as i64 * 37).sum::<i64>() % 1000;
    let sample = |n| value(n).map(|v| (START + n * STEP + shift, v));
    Series {
        labels: labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
        samples: (0..STEPS).filter_map(sample).collect(),
    }
}

pub(crate) fn dataset() -> Vec<Series> {
    let stale = f64::from_bits(STALE_MARKER_BITS);
    let mut random = Random(88_172_645_463_325_252);
    let mut all = Vec::new();
    for (job, instance, code) in [
        ("api", "a:1", "200"),
        ("api", "a:1", "500"),
        ("api", "b:1", "200"),
        ("api", "b:1", "500"),
        ("web", "a:1", "200"),
        ("web", "c:1", "404"),
        ("web", "c:1", "200"),
    ] {
        let mut count = 0.0;
        let labels = [
            ("__name__", "requests_total"),
            ("job", job),
            ("instance", instance),
            ("code", code),
        ];
        let (reset, gap) = (random.below(150) as i64 + 20, random.below(150) as i64 + 20);
        all.push(series(&labels, |n| {
            count = if n == reset {
                0.0
            } else {
                count + random.below(9) as f64
            };
            (n < gap || n > gap + 25).then_some(count)
        }));
    }
    for (job, instance) in [
        ("api", "a:1"),
        ("api", "b:1"),
        ("web", "a:1"),
        ("web", "c:1"),
    ] {
        let labels = [
            ("__name__", "temperature"),
            ("job", job),
            ("instance", instance),
        ];
        all.push(series(&labels, |n| {
            Some(if job == "web" && n % 17 == 3 {
                f64::NAN
            } else {
                random.share() * 100.0 - 50.0
            })
        }));
        let labels = [
            ("__name__", "build_info"),
            ("job", job),
            ("instance", instance),
            ("version", if job == "api" { "1.2" } else { "2.0" }),
        ];
        all.push(series(&labels, |_| Some(1.0)));
        let labels = [
            ("__name__", "memory_bytes"),
            ("job", job),
            ("instance", instance),
        ];
        all.push(series(&labels, |n| {
            Some(1e9 + (n * 1000) as f64 + (random.share() * 100.0).floor())
        }));
    }
    for job in ["api", "web"] {
        let mut counts = [0.0; 5];
        let bounds = ["0.1", "0.5", "1", "2.5", "+Inf"];
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for _ in 0..STEPS {
            for _ in 0..random.below(6) {
                let from = random.below(5);
                counts.iter_mut().skip(from).for_each(|count| *count += 1.0);
            }
            rows.push(counts.to_vec());
        }
        for (at, bound) in bounds.into_iter().enumerate() {
            let labels = [("__name__", "latency_bucket"), ("job", job), ("le", bound)];
            all.push(series(&labels, |n| Some(rows[n as usize][at])));
        }
    }
    // No +Inf; not monotonic; a bound that is none; one bucket only; all negative bounds.
    for (kind, le, value) in [
        ("open", "1", 5.0),
        ("open", "2", 7.0),
        ("falling", "1", 5.0),
        ("falling", "2", 3.0),
        ("falling", "+Inf", 9.0),
        ("word", "x", 5.0),
        ("word", "+Inf", 5.0),
        ("negative", "-2", 4.0),
        ("negative", "-1", 8.0),
        ("negative", "+Inf", 8.0),
        ("empty", "1", 0.0),
        ("empty", "+Inf", 0.0),
        ("twice", "1", 2.0),
        ("twice", "1.0", 3.0),
        ("twice", "+Inf", 9.0),
    ] {
        let labels = [("__name__", "odd_bucket"), ("kind", kind), ("le", le)];
        all.push(series(&labels, |_| Some(value)));
    }
    for (name, x) in [("dup_a", "1"), ("dup_b", "1"), ("dup_b", "2")] {
        all.push(series(&[("__name__", name), ("x", x)], |n| Some(n as f64)));
    }
    let mut special = |name: &'static str, value: &mut dyn FnMut(i64) -> Option<f64>| {
        all.push(series(&[("__name__", name)], value));
    };
    special("single", &mut |n| (n == 120).then_some(42.0));
    special("two", &mut |n| (n == 110 || n == 115).then_some(n as f64));
    special("constant", &mut |_| Some(7.0));
    special("late_total", &mut |n| {
        (n > 150).then_some(3.0 + (n - 150) as f64)
    });
    special("ended_total", &mut |n| {
        (n <= 140).then_some(if n == 140 { stale } else { n as f64 })
    });
    special("flapping", &mut |n| {
        Some(if n % 7 == 3 { stale } else { n as f64 })
    });
    special("infinite", &mut |n| {
        Some(if n % 5 == 0 {
            f64::INFINITY
        } else if n % 5 == 3 {
            f64::NEG_INFINITY
        } else {
            n as f64
        })
    });
    special("nothing_but_nan", &mut |_| Some(f64::NAN));
    special("huge", &mut |n| {
        Some(if n % 2 == 0 { 1e17 } else { -1e17 + n as f64 })
    });
    special("falling_total", &mut |n| Some(100.0 - (n % 20) as f64));
    special("negative", &mut |n| Some(-(n as f64) - 0.5));
    special("sparse_total", &mut |n| (n % 14 == 0).then_some(n as f64));
    all
}

pub(crate) fn store() -> SeriesStore {
    let store = SeriesStore::default();
    for series in dataset() {
        let labels = Labels::from_pairs(series.labels.iter().map(|(n, v)| (*n, v.as_str())));
        for (timestamp, value) in series.samples {
            assert!(store.append(&labels, timestamp, value));
        }
    }
    store
}
