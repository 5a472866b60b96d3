//! The flame graph of spans, and CPU profiles by span.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use tracing::{Dispatch, info_span};

use crate::{alone, get_text, observed};

/// Spins for a time.
#[inline(never)]
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box((0..200_u64).fold(1, |product, step| black_box(product ^ step)));
    }
}

#[test]
fn the_shares_of_the_span_flame_graph_are_those_of_the_injected_sleeps_and_spins() {
    let _alone = alone();
    let (dispatch, observatory) = observed(|_| ());
    tracing::dispatcher::with_default(&dispatch, || {
        for _ in 0..4 {
            let request = info_span!("http_request", route = "/chat");
            request.in_scope(|| {
                spin(Duration::from_millis(20));
                let inference = info_span!("inference", model_id = "slow");
                inference.in_scope(|| spin(Duration::from_millis(60)));
                // The span is open and not entered, as in an await.
                thread::sleep(Duration::from_millis(100));
            });
            thread::sleep(Duration::from_millis(40));
        }
    });
    let (status, folded) = get_text(&observatory, "/debug/pprof/spans?format=folded");
    assert_eq!(status, 200, "{folded}");
    let of = |stack: &str| -> f64 {
        let line = folded
            .lines()
            .find(|line| line.rsplit_once(' ').is_some_and(|(own, _)| own == stack));
        let line = line.unwrap_or_else(|| panic!("{stack} in {folded}"));
        line.rsplit_once(' ')
            .expect("a weight")
            .1
            .parse()
            .expect("a number")
    };
    // The sleep inside the request is its self time: a thread that sleeps inside a span is busy.
    let expected = [
        ("http_request /chat", 120.0),
        ("http_request /chat;(idle)", 40.0),
        ("http_request /chat;inference slow", 60.0),
        ("http_request /chat;inference slow;(idle)", 100.0),
    ];
    let total: f64 = expected.iter().map(|(stack, _)| of(stack)).sum();
    for (stack, milliseconds) in expected {
        let (share, right) = (100.0 * of(stack) / total, 100.0 * milliseconds / 320.0);
        assert!(
            (share - right).abs() < 5.0,
            "{stack}: {share:.1} %, not {right:.1} %: {folded}"
        );
    }
    let (status, journal) = get_text(&observatory, "/api/observatory/journal");
    assert_eq!(status, 200, "{journal}");
    assert!(journal.contains("\"detail\": \"slow\""), "{journal}");
    let (_, svg) = get_text(&observatory, "/debug/pprof/spans?format=svg");
    assert!(svg.contains("inference slow"), "{svg}");
    let (status, refused) = get_text(&observatory, "/debug/pprof/spans?time=later");
    assert_eq!(status, 400, "{refused}");
}

#[test]
fn a_cpu_profile_is_split_by_model() {
    let _alone = alone();
    let (dispatch, observatory) = observed(|_| ());
    let work = |model: &'static str, dispatch: Dispatch| {
        move || {
            tracing::dispatcher::with_default(&dispatch, || {
                let inference = info_span!("inference", model_id = model);
                inference.in_scope(|| spin(Duration::from_millis(1200)));
            });
        }
    };
    let threads = ["small", "large"].map(|model| thread::spawn(work(model, dispatch.clone())));
    let (status, json) = get_text(
        &observatory,
        "/debug/pprof/profile?seconds=0.8&format=json&operation=large",
    );
    assert_eq!(status, 200, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let operations = json["operations"].as_object().expect("a map");
    assert_eq!(
        operations.keys().collect::<Vec<_>>(),
        ["inference large"],
        "{json}"
    );
    assert!(json["root"].to_string().contains("spin"), "{json}");
    for thread in threads {
        thread.join().expect("a spin");
    }
}

#[test]
fn a_journal_that_is_off_names_its_key() {
    let (_, observatory) = observed(|config| config.journal.enabled = false);
    for path in ["/debug/pprof/spans", "/api/observatory/journal"] {
        let (status, answer) = get_text(&observatory, path);
        assert_eq!(status, 503, "{answer}");
        assert!(
            answer.contains("journal.enabled (OBSERVATORY_JOURNAL)"),
            "{answer}"
        );
    }
    assert!(observatory.journal().is_none());
}
