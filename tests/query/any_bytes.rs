//! Whatever is asked, an answer comes: no panic, no overflow of the stack, no runaway.

use llm_observatory::query::engine::{Engine, EngineOptions};
use proptest::prelude::*;

use super::dataset;
use super::generator::Generator;

fn ask(query: &str) {
    thread_local! {
        static STORE: llm_observatory::query::store::SeriesStore = dataset::store();
    }
    let engine = Engine::new(EngineOptions::default().with_max_samples(100_000));
    STORE.with(|store| {
        let _ = engine.evaluate(store, query, dataset::START + 1_000_000);
    });
    if let Ok(prepared) = engine.prepare(query) {
        let printed = prepared.expr().to_string();
        let again = engine.prepare(&printed).map(|p| p.expr().to_string());
        assert_eq!(
            again.as_ref(),
            Ok(&printed),
            "printed text must read back: {query}"
        );
        let pretty = prepared.expr().pretty();
        let again = engine.prepare(&pretty).map(|p| p.expr().to_string());
        if pretty.len() < 4096 {
            assert_eq!(
                again.as_ref(),
                Ok(&printed),
                "pretty text must read back: {query}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_answered(query in ".{0,60}") {
        ask(&query);
    }

    #[test]
    fn any_tokens_are_answered(
        tokens in proptest::collection::vec(proptest::sample::select(vec![
            "sum", "by", "(", ")", "{", "}", "[", "]", "5m", ":", "rate", "requests_total", "job", "=", "=~",
            "\"a.*\"", ",", "+", "-", "^", "==", "bool", "on", "group_left", "offset", "@", "1", "Inf", "and",
            "topk", "start", "`x`", "1e9y", "0x", "label_replace", "time", "\"$1\"", "without", "#", "%",
        ]), 0..30),
    ) {
        ask(&tokens.join(" "));
    }

    #[test]
    fn any_damaged_query_is_answered(seed in 1u64.., cut in 0usize..200, byte in 32u8..127) {
        let mut query = Generator::new(seed).query().into_bytes();
        if !query.is_empty() {
            let at = cut % query.len();
            query[at] = byte;
        }
        ask(&String::from_utf8_lossy(&query));
    }
}
