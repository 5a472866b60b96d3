//! Tests that sums stay exact under threads and random observations.

use std::sync::atomic::{AtomicU64, Ordering};

use llm_observatory::{Clock, Format};
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use proptest::prelude::*;
use tracing::{field::Empty, info_span};
use tracing_subscriber::prelude::*;

use super::support::{sum, watched};

static METADATA: Metadata<'_> = Metadata::new("stress", Level::INFO, None);

#[test]
fn inferences_of_many_threads_are_counted_exactly() {
    const THREADS: u64 = 8;
    const EACH: u64 = 5_000;
    let watched = watched();
    let dispatch = tracing::Dispatch::new(
        tracing_subscriber::registry().with(watched.layer_with(Clock::system())),
    );
    let tokens = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (dispatch, tokens) = (&dispatch, &tokens);
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    for turn in 0..EACH {
                        let model = ["a", "b", "c"][(turn % 3) as usize];
                        let status = ["success", "error", "timeout", "cancelled"]
                            [((turn + thread) % 4) as usize];
                        let span = info_span!(
                            "inference",
                            model_id = model,
                            tokens = Empty,
                            status = Empty
                        );
                        span.record("tokens", turn);
                        span.record("status", status);
                        tokens.fetch_add(turn, Ordering::Relaxed);
                    }
                });
            });
        }
    });
    let each = (THREADS * EACH / 4) as u32;
    watched.check_outcomes([each, each, each, each, 0]);
    let text = watched.text();
    assert_eq!(
        sum(&text, "llm_router_tokens_generated_total", ""),
        tokens.load(Ordering::Relaxed) as f64
    );
    assert_eq!(
        sum(&text, "gen_ai_client_operation_duration_seconds_count", ""),
        (THREADS * EACH) as f64
    );
    assert_eq!(
        sum(&text, "observatory_observations_total", "inference"),
        (THREADS * EACH) as f64
    );
}

#[test]
fn a_scrape_during_recording_is_monotone() {
    let watched = watched();
    let histogram = watched
        .registry
        .register_histogram(&Key::from_name("h"), &METADATA);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let histogram = histogram.clone();
            scope.spawn(move || {
                (0..200_000_u32).for_each(|turn| histogram.record(f64::from(turn % 13)));
            });
        }
        let mut before = 0.0;
        for _ in 0..50 {
            let text = watched.text();
            let buckets: Vec<f64> = text
                .lines()
                .filter(|line| line.starts_with("h_bucket"))
                .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
                .collect();
            assert!(buckets.is_sorted(), "{buckets:?}");
            let count = sum(&text, "h_count", "");
            assert_eq!(buckets.last().copied().unwrap_or(0.0), count);
            assert!(count >= before);
            before = count;
        }
    });
    watched.check(&[
        ("h_count", 400_000.0),
        (
            "h_sum",
            2.0 * (0..200_000_u32)
                .map(|turn| f64::from(turn % 13))
                .sum::<f64>(),
        ),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_label_value_is_written_so_that_it_reads_back(
        values in proptest::collection::vec("(?s).{0,30}|[\"\\\\\n]{1,8}|é{1,5000}", 1..8),
    ) {
        let watched = watched();
        for value in &values {
            let key = Key::from_parts("c", vec![Label::new("value", value.clone())]);
            watched.registry.register_counter(&key, &METADATA).increment(1);
        }
        let json: serde_json::Value = serde_json::from_str(&watched.registry.render(Format::Json)).unwrap();
        let family = json.as_array().unwrap().iter().find(|family| family["name"] == "c_total").unwrap();
        let mut read: Vec<&str> = family["metrics"].as_array().unwrap().iter().map(|metric| metric["labels"]["value"].as_str().unwrap_or("")).collect();
        read.sort_unstable();
        let mut written: Vec<&str> = values.iter().map(String::as_str).collect();
        written.sort_unstable();
        written.dedup();
        prop_assert_eq!(read, written);
        let text = watched.text();
        prop_assert!(text.lines().all(|line| line.starts_with('#') || line.rsplit(' ').next().unwrap().parse::<f64>().is_ok()));
    }
}
