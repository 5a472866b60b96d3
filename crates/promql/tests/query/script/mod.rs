//! Runs scripts in the format of Prometheus's own tests: `load`, `clear`, `eval instant`, `eval range`, `expect`.
//!
//! The scripts of this crate are in `tests/query/scripts`. `PROMQL_SCRIPTS=directory` adds scripts, such as Prometheus's
//! own; cases with native histograms and experimental functions are skipped and counted by reason. As in Prometheus's
//! tests, names are dropped at the end of a query, and each instant query is repeated as the middle step of a range query.

mod format;
mod judge;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use promql_engine::Labels;
use promql_engine::engine::syntax::ParseLimits;
use promql_engine::engine::{Engine, EngineOptions, QueryError, QueryResult, Range, Value};
use promql_engine::store::{Retention, SeriesStore};

use format::{AROUND, Command, Eval, Expectation, Wanted, When, commands};
use judge::{judge, values};

#[derive(Default)]
struct Tally {
    passed: usize,
    skipped: BTreeMap<&'static str, Vec<String>>,
    failures: Vec<String>,
}

/// The loaded series.
#[derive(Default)]
struct Data {
    series: BTreeMap<Labels, BTreeMap<i64, f64>>,
    native: Vec<String>,
}

#[test]
fn scripts_hold() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query/scripts");
    let others = std::env::var("PROMQL_SCRIPTS").ok();
    let mut passed = 0;
    let mut failures = Vec::new();
    for directory in [own.to_str(), others.as_deref()].into_iter().flatten() {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "test")
        });
        paths.sort();
        for path in paths {
            let mut tally = Tally::default();
            run(&path, &mut tally);
            let skipped = tally.skipped.iter().map(|(why, all)| (*why, all.len()));
            eprintln!(
                "{}: {} passed, {} failed, skipped {:?}",
                path.file_name().unwrap().display(),
                tally.passed,
                tally.failures.len(),
                skipped.collect::<BTreeMap<_, _>>(),
            );
            if std::env::var("PROMQL_SHOW_SKIPPED").is_ok() {
                let skipped = tally.skipped.iter();
                skipped.for_each(|(why, all)| eprintln!("{why}:\n{}", all.join("\n")));
            }
            passed += tally.passed;
            failures.append(&mut tally.failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0);
}

fn run(path: &Path, tally: &mut Tally) {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_string_lossy();
    let mut data = Data::default();
    for command in commands(&text) {
        match command {
            Command::Clear => data = Data::default(),
            Command::Load(load) => {
                data.native.extend(load.native);
                for (labels, samples) in load.series {
                    data.series.entry(labels).or_default().extend(samples);
                }
            }
            Command::Eval(eval) => {
                let title = format!("{file}:{}: {}", eval.line, eval.query);
                match evaluate(&eval, &data) {
                    Ok(None) => tally.passed += 1,
                    Ok(Some(reason)) => tally.skipped.entry(reason).or_default().push(title),
                    Err(problem) => tally.failures.push(format!("{title}\n    {problem}")),
                }
            }
        }
    }
}

/// Returns the reason if the case was skipped.
fn evaluate(eval: &Eval, data: &Data) -> Result<Option<&'static str>, String> {
    let long = Duration::from_hours(100_000);
    let store = SeriesStore::new(Retention::default().with_time(long));
    for (labels, samples) in &data.series {
        for (time, value) in samples {
            store.append(labels, *time, *value);
        }
    }
    let mut options = EngineOptions::default().with_delayed_name_removal();
    options.parse = ParseLimits {
        length_bytes: 100_000,
        ..ParseLimits::default()
    };
    let engine = Engine::new(options);
    let result = match eval.when {
        When::At(time) => engine.evaluate(&store, &eval.query, time),
        When::Over(range) => engine.query_range(&store, &eval.query, range),
    };
    if let Some(reason) = left_out(&result)
        && !refuses_as_expected(&result, &eval.expected)
    {
        return Ok(Some(reason));
    }
    if eval.expected.has_histograms {
        return Ok(Some("expects native histograms"));
    }
    let is_typed = |labels: &Labels| labels.get("__type__").is_some();
    if data.series.keys().any(is_typed) {
        return Ok(Some("labels for type and unit are behind a flag"));
    }
    let verdict = judge(&result, &eval.expected, &eval.when.times()).and_then(|()| {
        match (eval.when, &result) {
            (When::At(time), Ok(result)) => again_as_range(&engine, &store, eval, (time, result)),
            _ => Ok(()),
        }
    });
    match verdict {
        Err(_) if reads_native(&eval.query, data) => Ok(Some("reads native histograms")),
        Err(problem) => Err(problem),
        Ok(()) => Ok(None),
    }
}

/// An unsupported query passes if the script expects its error message.
fn refuses_as_expected(result: &Result<QueryResult, QueryError>, expected: &Expectation) -> bool {
    let says_so = !matches!(expected.failure, None | Some(Wanted::Any));
    expected.fails && says_so && judge(result, expected, &[]).is_ok()
}

fn left_out(result: &Result<QueryResult, QueryError>) -> Option<&'static str> {
    let Err(QueryError::Parse(error)) = result else {
        return None;
    };
    if error.message.contains("experimental") || error.message.contains("not enabled") {
        Some("experimental")
    } else if error.message.contains("native histograms") {
        Some("functions of native histograms")
    } else {
        None
    }
}

/// Returns whether a query names a series of native histograms, or selects without a name.
fn reads_native(query: &str, data: &Data) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut words = query.split(|c| !is_word(c));
    words.any(|word| data.native.iter().any(|native| native == word))
        || (!data.native.is_empty() && query.contains('{') && {
            let braces = query.match_indices('{').map(|(at, _)| at);
            braces.into_iter().any(|at| !query[..at].ends_with(is_word))
        })
}

fn again_as_range(
    engine: &Engine,
    store: &SeriesStore,
    eval: &Eval,
    (time, result): (i64, &QueryResult),
) -> Result<(), String> {
    let around = AROUND.as_millis() as i64;
    if eval.expected.is_ordered || !matches!(result.value, Value::Scalar(_) | Value::Vector(_)) {
        return Ok(());
    }
    let range = Range {
        start: time - around,
        end: time + around,
        step: around,
    };
    let over = engine.query_range(store, &eval.query, range);
    let over = over.map_err(|error| format!("as a range: {error}"))?;
    let Value::Matrix(mut series) = over.value else {
        return Err(format!("a range gave {:?}", over.value));
    };
    for series in &mut series {
        series.points.retain(|point| point.timestamp == time);
    }
    series.retain(|series| !series.points.is_empty());
    let value = match (&result.value, series.as_slice()) {
        (Value::Scalar(_), [series]) => Value::Scalar(series.points[0]),
        _ => Value::Matrix(series),
    };
    values(&value, &eval.expected, &[time]).map_err(|problem| format!("as a range: {problem}"))
}
