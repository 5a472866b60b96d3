//! Parses the test format of Prometheus 3 into commands.

use std::time::Duration;

use promql_engine::Labels;
use promql_engine::engine::Range;
use promql_engine::engine::syntax::{ExprKind, ParseLimits, parse};
use promql_engine::store::STALE_MARKER_BITS;
use regex::Regex;

/// A command of a script.
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// A `load 5m` command with its series.
#[derive(Default)]
pub(super) struct Load {
    pub(super) series: Vec<(Labels, Vec<(i64, f64)>)>,
    /// The names of series with native histograms, which are skipped.
    pub(super) native: Vec<String>,
}

pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) when: When,
    pub(super) expected: Expectation,
}

#[derive(Clone, Copy)]
pub(super) enum When {
    At(i64),
    Over(Range),
}

impl When {
    pub(super) fn times(self) -> Vec<i64> {
        match self {
            Self::At(time) => vec![time],
            Self::Over(range) => (range.start..=range.end)
                .step_by(range.step as usize)
                .collect(),
        }
    }
}

#[derive(Default)]
pub(super) struct Expectation {
    pub(super) fails: bool,
    pub(super) failure: Option<Wanted>,
    pub(super) is_ordered: bool,
    /// The expected warnings: `None` for any, an empty list for none.
    pub(super) warnings: Option<Vec<Wanted>>,
    pub(super) infos: Option<Vec<Wanted>>,
    pub(super) series: Vec<(Labels, Vec<Option<f64>>)>,
    pub(super) scalar: Option<f64>,
    pub(super) text: Option<String>,
    pub(super) has_histograms: bool,
    /// The times of an expected range vector of an instant query.
    pub(super) times: Option<Vec<i64>>,
}

/// The expected message.
pub(super) enum Wanted {
    Any,
    Message(String),
    Pattern(Regex),
}

impl Wanted {
    pub(super) fn is_met_by(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(text) => text == message,
            Self::Pattern(pattern) => pattern.is_match(message),
        }
    }
}

pub(super) fn commands(text: &str) -> Vec<Command> {
    // A comment ends a block as an empty line does.
    let is_comment = |line: &&str| line.starts_with('#');
    let trimmed = text.lines().map(str::trim);
    let lines: Vec<&str> = trimmed
        .map(|line| if is_comment(&line) { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let start = at + 1;
        let length = lines[start..].iter().take_while(|l| !l.is_empty()).count();
        let block = &lines[start..start + length];
        let rest = |prefix| line.strip_prefix(prefix).map(str::trim);
        at = start;
        if line == "clear" {
            commands.push(Command::Clear);
        } else if let Some(step) = rest("load_with_nhcb ") {
            commands.push(Command::Load(load(block, milliseconds(step), true)));
            at += length;
        } else if let Some(step) = rest("load ") {
            commands.push(Command::Load(load(block, milliseconds(step), false)));
            at += length;
        } else if line.starts_with("eval") {
            let (eval, used) = eval(line, start, block);
            commands.push(Command::Eval(Box::new(eval)));
            at += used;
        } else {
            assert!(line.is_empty(), "line {start}: no command: {line}");
        }
    }
    commands
}

fn milliseconds(text: &str) -> i64 {
    let text = text.trim();
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    match parse(text, &ParseLimits::default()).unwrap().kind {
        ExprKind::Number(seconds) => sign * (seconds * 1000.0).round() as i64,
        other => panic!("{text} is no duration but {other:?}"),
    }
}

fn load(block: &[&str], step: i64, makes_native: bool) -> Load {
    let mut load = Load::default();
    for line in block {
        let (labels, rest) = series(line).unwrap_or_else(|| panic!("not understood: {line}"));
        let name = labels.metric_name().unwrap_or_default();
        if makes_native {
            let mut suffixes = ["_bucket", "_count", "_sum"].iter();
            let base = suffixes.find_map(|suffix| name.strip_suffix(suffix));
            load.native.extend(base.map(str::to_owned));
        }
        // Start timestamps are another thing that floats alone do not have.
        if rest.contains("{{") || rest.starts_with("@st") {
            load.native.push(name.to_owned());
        }
        if rest.starts_with("@st") {
            continue;
        }
        let values = expand(&without_histograms(rest)).into_iter().enumerate();
        let samples = values.filter_map(|(at, value)| Some((at as i64 * step, value?)));
        load.series.push((labels, samples.collect()));
    }
    load
}

/// Replaces native histograms by gaps.
fn without_histograms(text: &str) -> String {
    let one = r"\{\{.*?\}\}";
    let pattern = Regex::new(&format!(r"{one}(?:[+-]{one})?(x\d+)?")).unwrap();
    let gaps = |found: &regex::Captures<'_>| {
        let times = found.get(1).map_or("x0", |times| times.as_str());
        let times: usize = times[1..].parse().unwrap();
        "_ ".repeat(times + 1)
    };
    pattern.replace_all(text, gaps).into_owned()
}

fn eval(line: &str, number: usize, block: &[&str]) -> (Eval, usize) {
    let pattern = r"^eval(?:_(fail|warn|ordered|info))?\s+(?:instant\s+at\s+(\S+)|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))\s+(.+)$";
    let parts = Regex::new(pattern).unwrap().captures(line);
    let parts = parts.unwrap_or_else(|| panic!("line {number}: not understood: {line}"));
    let part = |at| {
        parts
            .get(at)
            .map_or("", |part: regex::Match<'_>| part.as_str())
    };
    let when = if part(2).is_empty() {
        When::Over(Range {
            start: milliseconds(part(3)),
            end: milliseconds(part(4)),
            step: milliseconds(part(5)),
        })
    } else {
        When::At(milliseconds(part(2)))
    };
    let (expected, used) = expectation(part(1), block);
    let query = part(6).to_owned();
    let line = number;
    let eval = Eval {
        line,
        query,
        when,
        expected,
    };
    (eval, used)
}

/// Parses the expectation of a command, and returns it with its number of lines.
fn expectation(mode: &str, block: &[&str]) -> (Expectation, usize) {
    let mut expected = Expectation {
        fails: mode == "fail",
        is_ordered: mode == "ordered",
        warnings: (mode == "warn").then(|| vec![Wanted::Any]),
        infos: (mode == "info").then(|| vec![Wanted::Any]),
        ..Expectation::default()
    };
    for (at, line) in block.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("expect ") {
            expect(rest, &mut expected);
        } else if let Some(text) = line.strip_prefix("expected_fail_message") {
            expected.failure = Some(Wanted::Message(text.trim().to_owned()));
        } else if let Some(text) = line.strip_prefix("expected_fail_regexp") {
            expected.failure = Some(Wanted::Pattern(Regex::new(text.trim()).unwrap()));
        } else if let Ok(number) = line.parse() {
            expected.scalar = Some(number);
            return (expected, at + 1);
        } else {
            let (labels, values) = series(line).unwrap_or_else(|| panic!("not understood: {line}"));
            expected.has_histograms |= values.contains("{{");
            let values = expand(&without_histograms(values));
            expected.series.push((labels, values));
        }
    }
    (expected, block.len())
}

fn expect(rest: &str, expected: &mut Expectation) {
    if rest.starts_with("string") {
        expected.text = Some(rest.get("string ".len()..).unwrap_or("").to_owned());
        return;
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    if let ["range", "vector", "from", from, "to", to, "step", step] = words.as_slice() {
        let times = milliseconds(from)..=milliseconds(to);
        expected.times = Some(times.step_by(milliseconds(step) as usize).collect());
        return;
    }
    let wanted = if let Some((_, text)) = rest.split_once("msg:") {
        Wanted::Message(text.trim().to_owned())
    } else if let Some((_, text)) = rest.split_once("regex:") {
        Wanted::Pattern(Regex::new(text.trim()).unwrap())
    } else {
        Wanted::Any
    };
    match words[0] {
        "fail" => {
            expected.fails = true;
            expected.failure = Some(wanted);
        }
        "ordered" => expected.is_ordered = true,
        "warn" => expected.warnings.get_or_insert_default().push(wanted),
        "info" => expected.infos.get_or_insert_default().push(wanted),
        "no_warn" => expected.warnings = Some(Vec::new()),
        "no_info" => expected.infos = Some(Vec::new()),
        other => panic!("nothing is known of {other}"),
    }
}

/// Splits `name{label="value"} 1 2 3` into its labels and the rest.
fn series(line: &str) -> Option<(Labels, &str)> {
    let mut in_text = false;
    let mut in_braces = false;
    let mut is_escaped = false;
    let mut end = line.len();
    for (at, c) in line.char_indices() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match c {
            '\\' => is_escaped = true,
            '"' => in_text = !in_text,
            '{' if !in_text => in_braces = true,
            '}' if !in_text => {
                end = at + 1;
                break;
            }
            ' ' | '\t' if !in_braces => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (name, rest) = line.split_at(end);
    if name == "{}" {
        return Some((Labels::empty(), rest));
    }
    let parsed = parse(&name.replace("{}", ""), &ParseLimits::default()).ok()?;
    let ExprKind::Selector(selector) = parsed.kind else {
        return None;
    };
    let pairs = selector.matchers.iter().map(|m| (m.name(), m.value()));
    Some((Labels::from_pairs(pairs), rest))
}

/// Expands values such as `1 _ 3+2x4 stale`.
fn expand(text: &str) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        if word == "stale" {
            values.push(Some(f64::from_bits(STALE_MARKER_BITS)));
            continue;
        }
        let (value, times) = match word.rsplit_once('x').filter(|_| !word.starts_with("0x")) {
            Some((value, times)) => (value, times.parse::<usize>().unwrap()),
            None if word.starts_with("0x") => ("0", word[2..].parse::<usize>().unwrap()),
            None => (word, 0),
        };
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.max(1)));
            continue;
        }
        let is_step = |(at, c): (usize, char)| {
            at > 0 && matches!(c, '+' | '-') && !value[..at].ends_with(['e', 'E'])
        };
        let split = value.char_indices().find(|&c| is_step(c));
        let (first, step) = value.split_at(split.map_or(value.len(), |(at, _)| at));
        let first: f64 = first.parse().unwrap();
        let step: f64 = if step.is_empty() {
            0.0
        } else {
            step.parse().unwrap()
        };
        // Prometheus adds the step again and again, and so do its last digits come about.
        let mut value = first;
        for _ in 0..=times {
            values.push(Some(value));
            value += step;
        }
    }
    values
}

/// The time before and after an instant, for the range query that repeats an instant query.
pub(super) const AROUND: Duration = Duration::from_mins(1);
