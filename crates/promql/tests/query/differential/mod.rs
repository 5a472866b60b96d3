//! Compares the results of a real Prometheus and of this engine for the same samples.
//!
//! Debian's Prometheus is 2.42, so the engine uses left-closed ranges here, and queries with an intended difference between
//! 2.42 and 3 are rewritten to an equivalent query (`intended::in_other_words`). With a Prometheus 3
//! (`PROMETHEUS=path`), errors, warnings and infos must also agree, in words and positions.
//! `PROMQL_EXPRESSIONS=file` adds queries, one per line.

mod answer;
mod intended;

use std::collections::BTreeMap;

use promql_engine::engine::{ApiResponse, Engine, EngineOptions, Range};
use promql_engine::store::SeriesStore;
use serde_json::Value;

use super::dataset::{self, START, STEP, STEPS};
use super::prometheus::Prometheus;
use super::{expressions, generator};
use answer::{difference, short};
use intended::Words;

const GENERATED: usize = 6000;

/// The two compared engines.
struct Both {
    prometheus: Prometheus,
    is_version_3: bool,
    engine: Engine,
    store: SeriesStore,
}

#[derive(Clone, Copy)]
enum When {
    At(i64),
    Over(Range),
}

/// Steps as of a zoomed dashboard: off the samples' grid, and beyond their end.
const OVER: When = When::Over(Range {
    start: START + 10_000,
    end: START + STEPS * STEP + 400_000,
    step: 137_000,
});

#[derive(Default)]
struct Tally {
    agreed: usize,
    both_failed: usize,
    intended: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Both {
    /// Returns `None` without an installed Prometheus.
    async fn start() -> Option<Self> {
        let Some(prometheus) = Prometheus::start().await else {
            assert!(std::env::var("CI").is_err(), "prometheus is not installed");
            eprintln!("skipped: prometheus is not installed");
            return None;
        };
        prometheus.write(&dataset::dataset()).await;
        let is_version_3 = prometheus.major_version().await >= 3;
        let options = EngineOptions::default();
        let engine = Engine::new(if is_version_3 {
            options
        } else {
            options.with_left_closed_ranges()
        });
        Some(Self {
            prometheus,
            is_version_3,
            engine,
            store: dataset::store(),
        })
    }

    async fn theirs(&self, query: &str, when: When) -> Value {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms.rem_euclid(1000));
        match when {
            When::At(time) => {
                let parameters = [("query", query), ("time", &seconds(time))];
                self.prometheus.ask("query", &parameters).await
            }
            When::Over(range) => {
                let (start, end) = (seconds(range.start), seconds(range.end));
                let step = seconds(range.step);
                let parameters = [
                    ("query", query),
                    ("start", &start),
                    ("end", &end),
                    ("step", &step),
                ];
                self.prometheus.ask("query_range", &parameters).await
            }
        }
    }

    fn ours(&self, query: &str, when: When) -> Value {
        let result = match when {
            When::At(time) => self.engine.evaluate(&self.store, query, time),
            When::Over(range) => self.engine.query_range(&self.store, query, range),
        };
        serde_json::to_value(ApiResponse::from(&result)).unwrap()
    }

    async fn compare(&self, query: &str, when: When, tally: &mut Tally) {
        let ours = self.ours(query, when);
        let asked = if self.is_version_3 {
            intended::in_words_of_3(query)
        } else {
            query.to_owned()
        };
        let theirs = self.theirs(&asked, when).await;
        let found = difference(&theirs, &ours).or_else(|| {
            (self.is_version_3 && asked == query)
                .then(|| intended::difference_of_messages(query, &theirs, &ours))?
        });
        let Some(found) = found else {
            tally.agreed += 1;
            tally.both_failed += usize::from(theirs["status"] == "error");
            return;
        };
        let mut class = None;
        let mut words = if self.is_version_3 {
            class = intended::class_of_3(query, &theirs, &ours);
            Vec::from_iter(intended::in_other_words_for_3(query, &self.engine))
        } else {
            intended::in_other_words(query, &theirs, &self.engine)
        };
        let answers = (&theirs, &ours);
        words.extend(intended::in_words_without_filters(
            query,
            answers,
            &self.engine,
        ));
        for words in words {
            if class.is_none() && self.agree_on(&words, when).await {
                class = Some(words.class);
            }
        }
        if let Some(class) = class {
            *tally.intended.entry(class).or_default() += 1;
            return;
        }
        let when = match when {
            When::At(time) => format!("at {time}"),
            When::Over(_) => "over the range".to_owned(),
        };
        tally
            .differences
            .push(format!("{query}   {when}\n    {found}"));
    }

    /// A difference is intended if both engines agree on the rewritten query.
    async fn agree_on(&self, words: &Words, when: When) -> bool {
        let theirs = self.theirs(&words.for_theirs, when).await;
        let ours = self.ours(&words.for_ours, when);
        difference(&theirs, &ours).is_none() && theirs["error"] == ours["error"]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_equal_those_of_prometheus() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut tally = Tally::default();
    let mut chosen = expressions::chosen();
    if let Ok(path) = std::env::var("PROMQL_EXPRESSIONS") {
        let more = std::fs::read_to_string(path).unwrap();
        chosen.extend(more.lines().map(str::to_owned));
    }
    let times = [60 * STEP + 1234, 142 * STEP, STEPS * STEP].map(|time| When::At(START + time));
    let whens = [times[0], times[1], times[2], OVER];
    for query in &chosen {
        for when in whens {
            both.compare(query, when, &mut tally).await;
        }
    }
    let mut generator = generator::Generator::new(0x9e37_79b9_7f4a_7c15);
    for at in 0..GENERATED {
        let query = generator.query();
        let time = START + (at as i64 * 7919 % (STEPS + 30)) * STEP + at as i64 % 3 * 500;
        both.compare(&query, When::At(time), &mut tally).await;
        if at % 8 == 0 {
            both.compare(&query, OVER, &mut tally).await;
        }
    }
    eprintln!(
        "{} chosen expressions in {} questions, {GENERATED} generated ones in {}: {} agreed, {} of them on failing; intended differences {:?}; {} others",
        chosen.len(),
        chosen.len() * whens.len(),
        GENERATED + GENERATED / 8,
        tally.agreed,
        tally.both_failed,
        tally.intended,
        tally.differences.len()
    );
    let shown = std::env::var("PROMQL_SHOWN").map_or(40, |shown| shown.parse().unwrap());
    tally.differences.truncate(shown);
    assert!(
        tally.differences.is_empty(),
        "{}",
        tally.differences.join("\n")
    );
}

/// Prometheus formats the same tree in the same way.
#[tokio::test]
async fn queries_are_printed_as_prometheus_prints_them() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut generator = generator::Generator::new(4242);
    let generated: Vec<String> = (0..500).map(|_| generator.query()).collect();
    let mut different = Vec::new();
    let mut compared = 0;
    for query in expressions::chosen().iter().chain(&generated) {
        let parameters = [("query", query.as_str())];
        let theirs = both.prometheus.ask("format_query", &parameters).await;
        let (Some(theirs), Ok(prepared)) = (theirs["data"].as_str(), both.engine.prepare(query))
        else {
            continue;
        };
        // 2.42 loses these two: the group of an empty `ignoring ()`, which then reads back as another query. We
        // lose a plus that does nothing.
        if query.contains("ignoring () group") || query.starts_with('+') {
            continue;
        }
        compared += 1;
        let ours = prepared.expr().pretty();
        if theirs != ours {
            different.push(format!("theirs {theirs}\nours   {ours}"));
        }
    }
    eprintln!(
        "{compared} compared, {} printed differently",
        different.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[tokio::test]
#[ignore = "for looking at one query: QUERY=… cargo test --test query show -- --ignored --nocapture"]
async fn show() {
    let query = std::env::var("QUERY").unwrap();
    let both = Both::start().await.unwrap();
    let theirs = both.theirs(&query, OVER).await;
    eprintln!("theirs {theirs}\nours {}", both.ours(&query, OVER));
    assert!(
        difference(&theirs, &both.ours(&query, OVER)).is_none(),
        "{}",
        short(&theirs)
    );
}
