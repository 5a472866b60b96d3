//! Any byte string as a query over a few series: no panic, no runaway, and what is printed reads back the same.
//!
//! `cargo +nightly fuzz run query -- -timeout=10 -rss_limit_mb=1024`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use llm_observatory::query::Labels;
use llm_observatory::query::engine::{Engine, EngineOptions};
use llm_observatory::query::store::SeriesStore;

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

fuzz_target!(|data: &[u8]| {
    let query = String::from_utf8_lossy(data);
    let engine = Engine::new(EngineOptions::default().with_max_samples(100_000));
    let _ = engine.evaluate(&STORE, &query, 1_200_000);
    if let Ok(prepared) = engine.prepare(&query) {
        let printed = prepared.expr().to_string();
        if let Ok(again) = engine.prepare(&printed) {
            assert_eq!(again.expr().to_string(), printed);
        }
    }
});
