//! Runs scripts in the format of Prometheus's own tests: `load`, `clear`, `eval instant`, `eval range`, `expect`.
//!
//! Ours stand in `tests/query/scripts`. `PROMQL_SCRIPTS=directory` adds others, such as Prometheus's own; what they
//! say about native histograms and experimental functions is skipped and counted.

use std::collections::BTreeMap;
use std::path::Path;

use llm_observatory::query::engine::syntax::{ExprKind, ParseLimits, parse};
use llm_observatory::query::engine::{
    Engine, EngineOptions, QueryError, QueryResult, Range, Value,
};
use llm_observatory::query::store::{Retention, STALE_MARKER_BITS, SeriesStore};
use llm_observatory::query::{Labels, LabelsBuilder};

type Samples = Vec<(i64, f64)>;

#[derive(Default)]
struct Tally {
    passed: usize,
    skipped: usize,
    failures: Vec<String>,
}

#[derive(Default)]
struct Expectation {
    fails: bool,
    warns: Option<bool>,
    informs: Option<bool>,
    series: Vec<(Labels, Vec<Option<f64>>)>,
    scalar: Option<f64>,
    has_histograms: bool,
    /// Of a range vector that an instant query gives.
    times: Option<Vec<i64>>,
}

#[test]
fn scripts_hold() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query/scripts");
    let mut tally = Tally::default();
    let others = std::env::var("PROMQL_SCRIPTS").ok();
    for directory in [own.to_str(), others.as_deref()].into_iter().flatten() {
        let entries = std::fs::read_dir(directory).unwrap();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "test")
            {
                run(&path, &mut tally);
            }
        }
    }
    eprintln!(
        "{} passed, {} skipped, {} failed",
        tally.passed,
        tally.skipped,
        tally.failures.len()
    );
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
    assert!(tally.passed > 0);
}

fn run(path: &Path, tally: &mut Tally) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.starts_with('#'))
        .collect();
    let mut loaded: BTreeMap<Labels, Samples> = BTreeMap::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        // A block ends at an empty line or at the next command.
        let start = at;
        let is_command = |l: &str| {
            ["load", "clear", "eval"]
                .iter()
                .any(|word| l.starts_with(word))
        };
        if line.starts_with("load") || line.starts_with("eval") {
            while at < lines.len() && !lines[at].is_empty() && !is_command(lines[at]) {
                at += 1;
            }
        }
        let block = &lines[start..at];
        if line == "clear" {
            loaded.clear();
        } else if let Some(step) = line
            .strip_prefix("load_with_nhcb ")
            .or_else(|| line.strip_prefix("load "))
        {
            for series in block {
                load(series, milliseconds(step), &mut loaded);
            }
        } else if line.starts_with("eval") {
            let title = format!("{}: {line}", path.file_name().unwrap().to_string_lossy());
            match evaluate(line, block, &loaded) {
                Some(Ok(())) => tally.passed += 1,
                Some(Err(problem)) => tally.failures.push(format!("{title}\n    {problem}")),
                None => tally.skipped += 1,
            }
        }
    }
}

fn milliseconds(text: &str) -> i64 {
    match parse(text.trim(), &ParseLimits::default()).unwrap().kind {
        ExprKind::Number(seconds) => (seconds * 1000.0).round() as i64,
        other => panic!("{text} is no duration but {other:?}"),
    }
}

/// Splits `name{label="value"} 1 2 3` into its labels and the rest.
fn series(line: &str) -> Option<(Labels, &str)> {
    let end = match (line.find('{'), line.find([' ', '\t'])) {
        (Some(brace), space) if space.is_none_or(|space| brace < space) => line.find('}')? + 1,
        (_, space) => space?,
    };
    let (name, rest) = line.split_at(end);
    if name == "{}" {
        return Some((Labels::empty(), rest));
    }
    let ExprKind::Selector(selector) = parse(&name.replace("{}", ""), &ParseLimits::default())
        .ok()?
        .kind
    else {
        return None;
    };
    let pairs = selector.matchers.iter().map(|m| (m.name(), m.value()));
    Some((Labels::from_pairs(pairs), rest))
}

fn load(line: &str, step: i64, loaded: &mut BTreeMap<Labels, Samples>) {
    let Some((labels, rest)) = series(line) else {
        return;
    };
    if rest.contains("{{") {
        return;
    }
    let values = expand(rest).into_iter().enumerate();
    let samples = values.filter_map(|(at, value)| Some((at as i64 * step, value?)));
    let known = loaded.entry(labels).or_default();
    known.extend(samples);
    known.sort_by_key(|sample| sample.0);
}

/// `1 _ 3+2x4 stale`
fn expand(text: &str) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        if word == "stale" {
            values.push(Some(f64::from_bits(STALE_MARKER_BITS)));
            continue;
        }
        let (value, times) = match word.rsplit_once('x').filter(|_| !word.starts_with("0x")) {
            Some((value, times)) => (value, times.parse::<usize>().unwrap()),
            None => (word, 0),
        };
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.max(1)));
            continue;
        }
        let is_step = |(at, c): (usize, char)| {
            at > 0 && matches!(c, '+' | '-') && !value[..at].ends_with(['e', 'E'])
        };
        let split = value
            .char_indices()
            .find(|&c| is_step(c))
            .map_or(value.len(), |(at, _)| at);
        let (first, step) = value.split_at(split);
        let first: f64 = first.parse().unwrap();
        let step: f64 = if step.is_empty() {
            0.0
        } else {
            step.parse().unwrap()
        };
        values.extend((0..=times).map(|n| Some(first + step * n as f64)));
    }
    values
}

fn expectation(line: &str, block: &[&str]) -> Expectation {
    let mut expected = Expectation {
        fails: line.starts_with("eval_fail"),
        warns: line.starts_with("eval_warn").then_some(true),
        informs: line.starts_with("eval_info").then_some(true),
        ..Expectation::default()
    };
    for line in block {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["expect", "fail", ..] => expected.fails = true,
            [
                "expect",
                "range",
                "vector",
                "from",
                from,
                "to",
                to,
                "step",
                step,
            ] => {
                let range = milliseconds(from)..=milliseconds(to);
                expected.times = Some(range.step_by(milliseconds(step) as usize).collect());
            }
            ["expect", "warn", ..] => expected.warns = Some(true),
            ["expect", "no_warn"] => expected.warns = Some(false),
            ["expect", "info", ..] => expected.informs = Some(true),
            ["expect", "no_info"] => expected.informs = Some(false),
            [
                "expect" | "expected_fail_message" | "expected_fail_regexp",
                ..,
            ] => {}
            _ if line.contains("{{") => expected.has_histograms = true,
            [scalar] if scalar.parse::<f64>().is_ok() => expected.scalar = scalar.parse().ok(),
            _ => {
                let (labels, values) =
                    series(line).unwrap_or_else(|| panic!("not understood: {line}"));
                expected.series.push((labels, expand(values)));
            }
        }
    }
    expected
}

fn evaluate(
    line: &str,
    block: &[&str],
    loaded: &BTreeMap<Labels, Samples>,
) -> Option<Result<(), String>> {
    let expected = expectation(line, block);
    let (head, rest) = line.split_once(' ')?;
    let _ = head;
    let store =
        SeriesStore::new(Retention::default().with_time(std::time::Duration::from_hours(100_000)));
    for (labels, samples) in loaded {
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
    let (result, times) = if let Some(rest) = rest.strip_prefix("instant at ") {
        let (time, query) = rest.split_once(' ')?;
        let time = milliseconds(time);
        (engine.evaluate(&store, query, time), vec![time])
    } else {
        let rest = rest.strip_prefix("range from ")?;
        let (start, rest) = rest.split_once(" to ")?;
        let (end, rest) = rest.split_once(" step ")?;
        let (step, query) = rest.split_once(' ')?;
        let range = Range {
            start: milliseconds(start),
            end: milliseconds(end),
            step: milliseconds(step),
        };
        let times = (range.start..=range.end)
            .step_by(range.step as usize)
            .collect();
        (engine.query_range(&store, query, range), times)
    };
    let is_left_out = matches!(&result, Err(QueryError::Parse(error))
        if error.message.contains("experimental") || error.message.contains("native histograms"));
    if expected.has_histograms || (is_left_out && !expected.fails) {
        return None;
    }
    Some(judge(&result, &expected, &times))
}

fn judge(
    result: &Result<QueryResult, QueryError>,
    expected: &Expectation,
    times: &[i64],
) -> Result<(), String> {
    let result = match (result, expected.fails) {
        (Err(_), true) => return Ok(()),
        (Ok(result), true) => return Err(format!("should fail, gave {result:?}")),
        (Err(error), false) => return Err(error.to_string()),
        (Ok(result), false) => result,
    };
    let notes = [
        ("warning", expected.warns, &result.warnings),
        ("info", expected.informs, &result.infos),
    ];
    for (kind, wanted, got) in notes {
        if wanted.is_some_and(|wanted| wanted == got.is_empty()) {
            return Err(format!("{kind} expected: {wanted:?}, got {got:?}"));
        }
    }
    let times = expected.times.as_deref().unwrap_or(times);
    let mut got: BTreeMap<Labels, Samples> = BTreeMap::new();
    match &result.value {
        Value::Scalar(point) => {
            let wanted = expected
                .scalar
                .or_else(|| expected.series.first()?.1.first().copied()?);
            return match wanted {
                Some(wanted) if is_close(wanted, point.value) => Ok(()),
                _ => Err(format!("expected {wanted:?}, got {}", point.value)),
            };
        }
        Value::String(..) => return Ok(()),
        Value::Vector(samples) => {
            for sample in samples {
                got.insert(
                    sample.labels.clone(),
                    vec![(sample.point.timestamp, sample.point.value)],
                );
            }
        }
        Value::Matrix(series) => {
            for series in series {
                let points = series
                    .points
                    .iter()
                    .map(|p| (p.timestamp, p.value))
                    .collect();
                got.insert(series.labels.clone(), points);
            }
        }
    }
    for (labels, values) in &expected.series {
        // The same set, whichever way it came about.
        let labels = LabelsBuilder::from_labels(labels).build();
        let points = got
            .remove(&labels)
            .ok_or_else(|| format!("{labels} is missing"))?;
        let wanted: Vec<(i64, f64)> = times
            .iter()
            .zip(values)
            .filter_map(|(time, value)| Some((*time, (*value)?)))
            .collect();
        let is_same = wanted.len() == points.len()
            && wanted
                .iter()
                .zip(&points)
                .all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1));
        if !is_same {
            return Err(format!("{labels}: expected {wanted:?}, got {points:?}"));
        }
    }
    match got.keys().next() {
        Some(labels) => Err(format!("{labels} was not expected")),
        None => Ok(()),
    }
}

fn is_close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
}
