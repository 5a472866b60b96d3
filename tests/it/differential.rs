//! Compares the series of our registry and of `metrics-exporter-prometheus` after the same recordings.

use std::collections::BTreeMap;

use llm_observatory::{Format, Registry, RegistryOptions, catalog::DEFAULT_BUCKETS};
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;

static METADATA: Metadata<'_> = Metadata::new("differential", Level::INFO, None);

#[derive(Clone, Debug)]
enum Recording {
    Counter(u64),
    Absolute(u64),
    GaugeSet(f64),
    GaugeAdd(f64),
    Histogram(f64),
}

fn recording() -> impl Strategy<Value = Recording> {
    prop_oneof![
        (0..1_000_u64).prop_map(Recording::Counter),
        (0..1_000_u64).prop_map(Recording::Absolute),
        (-1e6..1e6).prop_map(Recording::GaugeSet),
        (-1e3..1e3).prop_map(Recording::GaugeAdd),
        (0.0..20.0).prop_map(Recording::Histogram),
    ]
}

/// Records under names that need sanitising, with a separate name for each kind.
fn apply(recorder: &dyn Recorder, name: usize, labels: &[(String, String)], recording: &Recording) {
    const NAMES: [&str; 3] = ["requests", "http.server/ops", "9lives"];
    let name = NAMES[name % NAMES.len()];
    let labels: Vec<Label> = labels
        .iter()
        .map(|(key, value)| Label::new(key.clone(), value.clone()))
        .collect();
    let key = |suffix: &str| Key::from_parts(format!("{name}{suffix}"), labels.clone());
    match recording {
        Recording::Counter(by) => recorder
            .register_counter(&key("_c"), &METADATA)
            .increment(*by),
        Recording::Absolute(to) => recorder
            .register_counter(&key("_a_total"), &METADATA)
            .absolute(*to),
        Recording::GaugeSet(to) => recorder.register_gauge(&key("_s"), &METADATA).set(*to),
        Recording::GaugeAdd(by) => recorder
            .register_gauge(&key("_g"), &METADATA)
            .increment(*by),
        Recording::Histogram(value) => recorder
            .register_histogram(&key("_seconds"), &METADATA)
            .record(*value),
    }
}

/// Parses series by name and sorted labels, with `le` as a number; skips comments and the observatory's own metrics.
fn series(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| {
        !line.starts_with('#') && !line.is_empty() && !line.starts_with("observatory_")
    }) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = name.split_once('{').map_or((name, ""), |(name, rest)| {
            (name, rest.strip_suffix('}').unwrap())
        });
        let mut pairs: Vec<String> = Vec::new();
        for pair in labels.split("\",").filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap_or(value);
            pairs.push(match key {
                "le" => format!("le={}", value.parse::<f64>().unwrap()),
                // For Prometheus, an empty label equals an absent label: our registry omits it, the exporter writes it.
                _ if value.is_empty() => continue,
                _ => format!("{key}={value}"),
            });
        }
        pairs.sort();
        let before = all.insert(
            format!("{name}{{{}}}", pairs.join(";")),
            value.parse().unwrap(),
        );
        assert!(before.is_none(), "twice: {line}");
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn both_render_the_same_series(
        recordings in proptest::collection::vec(
            (0..3_usize, proptest::collection::btree_map("[a-c]\\.?[x-y]", "[a-z \\n\"é]{0,6}", 0..4), recording()),
            1..60,
        ),
    ) {
        let ours = Registry::new(RegistryOptions::default()).unwrap();
        let theirs = PrometheusBuilder::new().with_recommended_naming(true).set_buckets(DEFAULT_BUCKETS).unwrap().build_recorder();
        for (name, labels, recording) in &recordings {
            // The two differ for keys that become equal after sanitising: our registry keeps the later, the exporter
            // writes both.
            let mut clean = BTreeMap::new();
            for (key, value) in labels {
                clean.entry(key.replace('.', "_")).or_insert((key.clone(), value.clone()));
            }
            let labels: Vec<(String, String)> = clean.into_values().filter(|(_, value)| !value.is_empty()).collect();
            apply(&ours, *name, &labels, recording);
            apply(&theirs, *name, &labels, recording);
        }
        let (ours, theirs) = (series(&ours.render(Format::Prometheus)), series(&theirs.handle().render()));
        prop_assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (name, value) in &ours {
            prop_assert!((value - theirs[name]).abs() <= 1e-9 * value.abs().max(1.0), "{}: {} and {}", name, value, theirs[name]);
        }
    }
}
