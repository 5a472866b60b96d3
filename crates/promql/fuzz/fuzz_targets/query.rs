//! Evaluates any byte string as a query over a few series: no panic, bounded time and memory, and the printed query
//! parses to the same tree.
//!
//! In `crates/promql`: `cargo +nightly fuzz run query -- -timeout=10 -rss_limit_mb=1024`

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use promql_engine::Labels;
use promql_engine::engine::syntax::ParseLimits;
use promql_engine::engine::{Control, Engine, EngineOptions, Range};
use promql_engine::store::SeriesStore;

static STORE: LazyLock<SeriesStore> = LazyLock::new(|| {
    let store = SeriesStore::default();
    for (name, le) in [("a_total", "1"), ("a_total", "+Inf"), ("b", "")] {
        let labels = Labels::from_pairs([("__name__", name), ("le", le), ("job", "x")]);
        for minute in 0..30 {
            let value = if minute % 7 == 3 { f64::NAN } else { f64::from(minute) };
            store.append(&labels, i64::from(minute) * 60_000, value);
        }
    }
    store
});

/// A printed query may be longer than its text.
const ROOMY: ParseLimits = ParseLimits {
    length_bytes: 1 << 20,
    nesting: 128,
};

fuzz_target!(|data: &[u8]| {
    let query = String::from_utf8_lossy(data);
    // The limit on samples bounds memory, and the limit on time bounds the samples read one after another.
    let options = EngineOptions::default().with_max_samples(20_000);
    let engine = Engine::new(options.with_timeout(Duration::from_secs(2)));
    let Ok(prepared) = engine.prepare(&query) else {
        return;
    };
    let range = Range {
        start: 600_000,
        end: 1_200_000,
        step: 200_000,
    };
    let start = Instant::now();
    let clock = || start.elapsed();
    let control = Control { clock: Some(&clock), ..Control::default() };
    let run = || engine.run(&STORE, &prepared).with_control(control);
    let _ = run().at(1_200_000);
    let _ = run().over(range);
    let printed = prepared.expr().to_string();
    for text in [&printed, &prepared.expr().pretty()] {
        let again = promql_engine::engine::syntax::parse(text, &ROOMY);
        let again = again.unwrap_or_else(|error| panic!("{query:?} printed as {text:?}: {error}"));
        assert_eq!(again.to_string(), printed, "{query:?}");
    }
});
