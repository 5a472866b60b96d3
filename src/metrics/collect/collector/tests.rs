use super::*;
use crate::{
    metrics::{RegistryOptions, catalog},
    query::{
        engine::{Engine, Value},
        store::Retention,
    },
};

const TICK: i64 = 10_000;

/// A registry whose series are hidden after a minute, and the store with its copy.
struct Copying {
    registry: Registry,
    store: Arc<SeriesStore>,
    collector: Collector,
    now: i64,
}

fn copying() -> Copying {
    let options = RegistryOptions::default().with_idle_timeout(Duration::from_mins(1));
    let store = Arc::new(SeriesStore::new(Retention::default()));
    Copying {
        registry: Registry::new(options).unwrap(),
        collector: Collector::new(Arc::clone(&store), Duration::from_secs(10)),
        store,
        now: 1_000_000_000,
    }
}

impl Copying {
    fn tick(&mut self) {
        self.now += TICK;
        let moment = Moment {
            now: Some(Duration::from_millis(self.now.unsigned_abs())),
            ..Moment::default()
        };
        self.collector.collect(&self.registry, &moment, self.now);
    }

    /// Returns the value of the only sample in the result.
    fn value(&self, query: &str) -> Option<f64> {
        let found = Engine::default()
            .evaluate(&self.store, query, self.now)
            .unwrap();
        let Value::Vector(samples) = found.value else {
            panic!("{query} is no vector");
        };
        assert!(samples.len() <= 1, "{query}: {samples:?}");
        samples.first().map(|sample| sample.point.value)
    }
}

#[test]
fn every_kind_of_series_is_found_under_its_name_and_labels() {
    let mut copying = copying();
    let labels = [("model_id", "a\"b\\c\nd"), ("status", "success")];
    copying
        .registry
        .counter(&catalog::INFERENCES, &labels)
        .add(3);
    copying
        .registry
        .gauge(&catalog::ACTIVE_INFERENCES, &[])
        .set(-2.5);
    let durations = copying
        .registry
        .histogram(&catalog::INFERENCE_DURATION, &[]);
    durations.record(0.02);
    durations.record(100.0);
    copying.tick();
    for (query, expected) in [
        (
            r#"llm_router_model_inference_total{model_id="a\"b\\c\nd"}"#,
            3.0,
        ),
        ("llm_router_active_inferences", -2.5),
        (
            r#"llm_router_model_inference_duration_seconds_bucket{le="0.01"}"#,
            0.0,
        ),
        (
            r#"llm_router_model_inference_duration_seconds_bucket{le="0.05"}"#,
            1.0,
        ),
        (
            r#"llm_router_model_inference_duration_seconds_bucket{le="+Inf"}"#,
            2.0,
        ),
        ("llm_router_model_inference_duration_seconds_sum", 100.02),
        ("llm_router_model_inference_duration_seconds_count", 2.0),
    ] {
        assert_eq!(copying.value(query), Some(expected), "{query}");
    }
}

#[test]
fn the_first_event_of_a_counter_is_an_increase() {
    let mut copying = copying();
    copying.tick();
    copying
        .registry
        .counter(&catalog::INFERENCES, &[("status", "error")])
        .add(5);
    copying
        .registry
        .histogram(&catalog::INFERENCE_DURATION, &[])
        .record(0.02);
    // A gauge does not start at zero, and the kernel's count did not start in this process.
    copying
        .registry
        .gauge(&catalog::ACTIVE_INFERENCES, &[])
        .set(7.0);
    copying
        .registry
        .counter(&catalog::SYSTEM_NETWORK_SENT, &[("interface", "eth0")])
        .raise_to(1_000_000);
    copying.tick();
    for (query, expected) in [
        (
            "increase(llm_router_model_inference_total[10s1ms])",
            Some(5.0),
        ),
        (
            r#"increase(llm_router_model_inference_duration_seconds_bucket{le="0.05"}[10s1ms])"#,
            Some(1.0),
        ),
        (
            "count_over_time(llm_router_active_inferences[1m])",
            Some(1.0),
        ),
        ("increase(system_network_transmit_bytes_total[1m])", None),
    ] {
        let found = copying.value(query);
        let agrees = match (found, expected) {
            (Some(found), Some(expected)) => f64::abs(found - expected) < 0.01,
            (found, expected) => found == expected,
        };
        assert!(agrees, "{query} is {found:?}, not {expected:?}");
    }
}

#[test]
fn a_hidden_series_ends_at_once_and_comes_back_without_a_second_birth() {
    let mut copying = copying();
    let counter = copying
        .registry
        .counter(&catalog::INFERENCES, &[("status", "error")]);
    counter.add(5);
    for _ in 0..6 {
        copying.tick();
    }
    assert_eq!(copying.value("llm_router_model_inference_total"), Some(5.0));
    copying.tick();
    assert_eq!(copying.value("llm_router_model_inference_total"), None);
    // Longer than the store keeps samples.
    for _ in 0..400 {
        copying.tick();
    }
    counter.add(1);
    copying.tick();
    assert_eq!(copying.value("llm_router_model_inference_total"), Some(6.0));
    assert_eq!(
        copying.value("increase(llm_router_model_inference_total[1m])"),
        None
    );
    copying.tick();
    assert_eq!(
        copying.value("increase(llm_router_model_inference_total[1m])"),
        Some(0.0)
    );
}

#[test]
fn a_clock_that_goes_back_costs_samples_and_nothing_else() {
    let mut copying = copying();
    copying
        .registry
        .gauge(&catalog::ACTIVE_INFERENCES, &[])
        .set(1.0);
    copying.tick();
    copying.now -= 3 * TICK;
    copying.tick();
    assert!(copying.store.stats().refused_samples > 0);
    for _ in 0..4 {
        copying.tick();
    }
    assert_eq!(copying.value("llm_router_active_inferences"), Some(1.0));
}
