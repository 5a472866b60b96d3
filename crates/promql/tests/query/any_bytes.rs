//! Evaluates arbitrary queries: the engine neither panics, nor overflows the stack, nor exceeds time and memory.
//!
//! Each test run spends a few seconds here. `FUZZ_SECONDS=600 cargo test --release -p promql-engine --test query mutated --
//! --nocapture` runs longer, with new seeds each time; `fuzz/` does the same with coverage guidance.

use std::time::{Duration, Instant, SystemTime};

use promql_engine::engine::syntax::{ParseLimits, parse};
use promql_engine::engine::{Engine, EngineOptions, Range};
use promql_engine::store::SeriesStore;
use proptest::prelude::*;

use super::dataset;
use super::expressions;
use super::generator::Generator;
use super::random::Random;

const MAX_SAMPLES: u64 = 20_000;
/// An endless evaluation takes minutes; a debug build on a busy machine is slow too.
const MAX_TIME: Duration = Duration::from_secs(5);
/// The memory of the whole process, with other tests.
const MAX_RESIDENT_KIB: u64 = 1 << 20;

const TOKENS: [&str; 62] = [
    "sum",
    "by",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "5m",
    ":",
    "rate",
    "requests_total",
    "job",
    "=",
    "=~",
    "!=",
    "!~",
    "\"a.*\"",
    ",",
    "+",
    "-",
    "*",
    "/",
    "^",
    "==",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "@",
    "1",
    "Inf",
    "NaN",
    "and",
    "or",
    "unless",
    "topk",
    "quantile",
    "count_values",
    "start",
    "end()",
    "`x`",
    "1e9y",
    "0x",
    "label_replace",
    "time()",
    "\"$1\"",
    "without",
    "#",
    "%",
    "__name__",
    "\n",
    "1ms",
    "100y",
    "absent_over_time",
    "histogram_quantile",
    "\\",
    "'",
    "\u{e9}",
    "le",
];

fn ask(query: &str) {
    thread_local! {
        static STORE: SeriesStore = dataset::store();
    }
    let engine = Engine::new(EngineOptions::default().with_max_samples(MAX_SAMPLES));
    let start = Instant::now();
    let Ok(prepared) = engine.prepare(query) else {
        return assert_in_time(start, query);
    };
    let end = dataset::START + 1_000_000;
    let range = Range {
        start: end - 400_000,
        end,
        step: 100_000,
    };
    STORE.with(|store| {
        let _ = engine.evaluate_prepared(store, &prepared, end);
        let _ = engine.run(store, &prepared).over(range);
    });
    assert_in_time(start, query);
    // Printed text may be longer than what was read.
    let roomy = ParseLimits {
        length_bytes: 1 << 20,
        ..ParseLimits::default()
    };
    let printed = prepared.expr().to_string();
    for text in [&printed, &prepared.expr().pretty()] {
        let again = parse(text, &roomy).map(|expr| expr.to_string());
        assert_eq!(
            again.as_ref(),
            Ok(&printed),
            "{query:?} reads back as another"
        );
    }
}

fn assert_in_time(start: Instant, query: &str) {
    let taken = start.elapsed();
    assert!(taken < MAX_TIME, "{query:?} took {taken:?}");
}

fn most_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// Mutates a query: bytes, tokens, and parts of another query.
fn mutated(random: &mut Random, corpus: &[String]) -> String {
    let mut bytes = corpus[random.below(corpus.len())].clone().into_bytes();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(12)).min(bytes.len());
        let piece: Vec<u8> = match random.below(7) {
            0 => vec![random.below(256) as u8],
            1 => vec![b' ' + random.below(95) as u8],
            2 => Vec::new(),
            3 => format!(" {} ", TOKENS[random.below(TOKENS.len())]).into_bytes(),
            4 => bytes[at..to].repeat(1 + random.below(60)),
            5 => corpus[random.below(corpus.len())].clone().into_bytes(),
            _ => {
                let other = corpus[random.below(corpus.len())].as_bytes();
                let from = random.below(other.len() + 1);
                other[from..(from + random.below(30)).min(other.len())].to_vec()
            }
        };
        let replaced = if random.below(2) == 0 { at } else { to };
        bytes.splice(at..replaced, piece);
        bytes.truncate(5000);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn any_mutated_query_is_answered() {
    let mut corpus = expressions::chosen();
    let mut generator = Generator::new(7);
    corpus.extend((0..300).map(|_| generator.query()));
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds: Option<u64> = seconds.map(|seconds| seconds.parse().unwrap());
    // The same ones each time, unless there is time for others.
    let seed = seconds.map_or(0x2545_f491_4f6c_dd1d, |_| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_nanos() as u64 | 1
    });
    let mut random = Random(seed);
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(3));
    let mut asked = 0u64;
    while Instant::now() < until {
        ask(&mutated(&mut random, &corpus));
        asked += 1;
    }
    let resident = most_resident_kib();
    eprintln!("{asked} mutated queries from seed {seed}, {resident} KiB resident at most");
    assert!(resident < MAX_RESIDENT_KIB, "{resident} KiB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_answered(query in ".{0,60}") {
        ask(&query);
    }

    #[test]
    fn any_tokens_are_answered(
        tokens in proptest::collection::vec(proptest::sample::select(TOKENS.to_vec()), 0..30),
    ) {
        ask(&tokens.join(" "));
    }
}
