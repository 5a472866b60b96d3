use std::time::{Duration, SystemTime};

use super::super::{Format, to_string};
use super::*;
use crate::{metrics::registry::RegistryOptions, observation::TraceReference};
use metrics::{Key, Label, Level, Metadata, Recorder as _};

static METADATA: Metadata<'_> = Metadata::new("tests", Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    Key::from_parts(
        name,
        labels
            .iter()
            .map(|(key, value)| Label::new(*key, *value))
            .collect::<Vec<_>>(),
    )
}

fn registry() -> Registry {
    Registry::new(RegistryOptions::default()).unwrap()
}

/// The lines about `name`, and nothing of the observatory's own.
fn check(registry: &Registry, format: Format, name: &str, expected: &str) {
    let text = to_string(registry, format, &Moment::default());
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(name)).collect();
    assert_eq!(lines.join("\n"), expected.trim());
}

#[test]
fn a_counter_ends_in_total_and_open_metrics_names_it_without() {
    let registry = registry();
    registry.describe_counter("jobs".into(), None, "Jobs \"done\".\nAll of them.".into());
    registry
        .register_counter(&key("jobs", &[("kind", "a\"b\\c\nd")]), &METADATA)
        .increment(3);
    check(
        &registry,
        Format::Prometheus,
        "jobs",
        r#"
# HELP jobs_total Jobs "done".\nAll of them.
# TYPE jobs_total counter
jobs_total{kind="a\"b\\c\nd"} 3"#,
    );
    check(
        &registry,
        Format::OpenMetrics,
        "jobs",
        r#"
# HELP jobs Jobs \"done\".\nAll of them.
# TYPE jobs counter
jobs_total{kind="a\"b\\c\nd"} 3"#,
    );
}

#[test]
fn a_histogram_is_cumulative_and_its_bounds_are_written_as_open_metrics_does() {
    let registry = registry();
    let histogram = registry.register_histogram(&key("wait_seconds", &[]), &METADATA);
    for value in [0.005, 0.7, 100.0] {
        histogram.record(value);
    }
    check(
        &registry,
        Format::OpenMetrics,
        "wait_seconds",
        r#"
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le="0.005"} 1
wait_seconds_bucket{le="0.01"} 1
wait_seconds_bucket{le="0.025"} 1
wait_seconds_bucket{le="0.05"} 1
wait_seconds_bucket{le="0.1"} 1
wait_seconds_bucket{le="0.25"} 1
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="1.0"} 2
wait_seconds_bucket{le="2.5"} 2
wait_seconds_bucket{le="5.0"} 2
wait_seconds_bucket{le="10.0"} 2
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 100.705
wait_seconds_count 3"#,
    );
}

#[test]
fn an_exemplar_stands_in_its_bucket_and_only_in_open_metrics() {
    let registry = registry();
    let series = registry
        .of_application(
            "t",
            MetricKind::Histogram,
            std::iter::empty(),
            Family::histogram,
        )
        .unwrap()
        .series;
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    series.record(0.3);
    series.exemplify(Exemplar {
        trace: TraceReference {
            trace_id: 0xabc,
            span_id: 0xd,
            time,
        },
        value: 0.3,
    });
    let text = to_string(&registry, Format::OpenMetrics, &Moment::default());
    assert!(
        text.contains("t_bucket{le=\"0.5\"} 1 # {trace_id=\"00000000000000000000000000000abc\",span_id=\"000000000000000d\"} 0.3 1700000000.25\n"),
        "{text}"
    );
    assert!(!to_string(&registry, Format::Prometheus, &Moment::default()).contains("trace_id"));
}

#[test]
fn a_counter_has_an_exemplar_unless_its_stem_is_another_metric() {
    let registry = registry();
    let series = registry.counter(&crate::metrics::catalog::INFERENCES, &[("status", "error")]);
    series.add(2);
    series.exemplify(&TraceReference {
        trace_id: 0xabc,
        span_id: 0xd,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    });
    let text = || to_string(&registry, Format::OpenMetrics, &Moment::default());
    let line = "{status=\"error\"} 2 # {trace_id=\"00000000000000000000000000000abc\",span_id=\"000000000000000d\"} 1 1700000000\n";
    assert!(text().contains(line), "{}", text());
    assert!(!to_string(&registry, Format::Prometheus, &Moment::default()).contains("trace_id"));
    registry
        .register_gauge(&key("llm_router_model_inference", &[]), &METADATA)
        .set(2.0);
    assert!(
        !text().contains("trace_id"),
        "no exemplars of what is unknown"
    );
}

#[test]
fn a_counter_beside_a_gauge_of_its_stem_stays_one_family_each() {
    let registry = registry();
    registry
        .register_counter(&key("x", &[]), &METADATA)
        .increment(1);
    registry.register_gauge(&key("x", &[]), &METADATA).set(2.0);
    check(
        &registry,
        Format::OpenMetrics,
        "x",
        "# TYPE x gauge\nx 2\n# TYPE x_total unknown\nx_total 1",
    );
}

#[test]
fn a_name_of_one_kind_is_refused_to_another_and_counted() {
    let registry = registry();
    registry
        .register_gauge(&key("y_total", &[]), &METADATA)
        .set(2.0);
    registry
        .register_counter(&key("y", &[]), &METADATA)
        .increment(1);
    registry
        .register_histogram(&key("h", &[]), &METADATA)
        .record(1.0);
    registry
        .register_gauge(&key("h_count", &[]), &METADATA)
        .set(7.0);
    check(
        &registry,
        Format::Prometheus,
        "kind_conflict",
        "observatory_dropped_observations_total{reason=\"kind_conflict\"} 2",
    );
    check(
        &registry,
        Format::Prometheus,
        "y_total",
        "# TYPE y_total gauge\ny_total 2",
    );
    assert_eq!(registry.diagnostics().take_notices().len(), 2);
}

#[test]
fn series_beyond_the_limit_fold_into_a_visible_one() {
    let options = RegistryOptions {
        series_limit: 2,
        ..RegistryOptions::default()
    };
    let registry = Registry::new(options).unwrap();
    for user in ["a", "b", "c", "d"] {
        registry
            .register_counter(
                &key("hits", &[("user", user), ("status", "success")]),
                &METADATA,
            )
            .increment(1);
    }
    check(
        &registry,
        Format::Prometheus,
        "hits",
        r#"
# TYPE hits_total counter
hits_total{status="success",user="_other"} 2
hits_total{status="success",user="a"} 1
hits_total{status="success",user="b"} 1
observatory_series_overflowed_total{metric="hits_total"} 2"#,
    );
}

#[test]
fn even_bounded_labels_cannot_grow_a_metric_for_ever() {
    let options = RegistryOptions {
        series_limit: 1,
        ..RegistryOptions::default()
    };
    let registry = Registry::new(options).unwrap();
    for method in 0..1_000 {
        let labels = [Label::new("method", method.to_string())];
        registry
            .register_counter(&Key::from_parts("hits", labels.to_vec()), &METADATA)
            .increment(1);
    }
    let text = to_string(&registry, Format::Prometheus, &Moment::default());
    let hits: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("hits_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(hits.iter().sum::<u64>(), 1_000);
    assert!(hits.len() < 70, "{}", hits.len());
}

#[test]
fn a_nan_leaves_a_histogram_as_it_was_and_is_counted() {
    let registry = registry();
    let histogram = registry.register_histogram(&key("z", &[]), &METADATA);
    histogram.record(f64::NAN);
    histogram.record(1.0);
    check(&registry, Format::Prometheus, "z_sum", "z_sum 1");
    check(
        &registry,
        Format::Prometheus,
        "not_a_number",
        "observatory_dropped_observations_total{reason=\"not_a_number\"} 1",
    );
}

#[test]
fn labels_of_the_configuration_are_on_every_series_and_yield_to_its_own() {
    let options = RegistryOptions {
        labels: [("region".to_owned(), "eu".to_owned())].into(),
        ..RegistryOptions::default()
    };
    let registry = Registry::new(options).unwrap();
    registry
        .register_gauge(&key("g", &[("region", "us")]), &METADATA)
        .set(1.0);
    registry.register_gauge(&key("g", &[]), &METADATA).set(2.0);
    check(
        &registry,
        Format::Prometheus,
        "g{",
        "g{region=\"eu\"} 2\ng{region=\"us\"} 1",
    );
}

#[test]
fn an_idle_series_goes_and_comes_back_with_its_value_while_its_handle_lives() {
    let options = RegistryOptions {
        idle_timeout: Some(Duration::from_mins(1)),
        ..RegistryOptions::default()
    };
    let registry = Registry::new(options).unwrap();
    let counter = registry.register_counter(&key("hits", &[("model", "a")]), &METADATA);
    let at = |seconds| {
        let moment = Moment {
            now: Some(Duration::from_secs(seconds)),
            ..Moment::default()
        };
        to_string(&registry, Format::Prometheus, &moment)
            .lines()
            .filter(|line| line.contains("hits"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    counter.increment(1);
    assert_eq!(at(0).len(), 2);
    assert!(at(60).is_empty(), "neither the series nor its family");
    counter.increment(1);
    assert_eq!(
        at(61),
        ["# TYPE hits_total counter", "hits_total{model=\"a\"} 2"]
    );
}
