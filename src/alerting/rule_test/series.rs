//! Parses input series: `up{job="a"}` and `0+1x5 _ stale 7`.

use crate::query::Labels;
use crate::query::MatchOp;
use crate::query::engine::syntax::{ExprKind, ParseLimits, TimeShift, parse};
use crate::query::store::STALE_MARKER_BITS;

/// Maximum number of repetitions in a single item.
const MAX_REPEAT: usize = 1_000_000;

/// Parses the labels of a series, within the limits of the tests' engine.
pub(super) fn labels(text: &str, limits: &ParseLimits) -> Result<Labels, String> {
    let text = text.trim();
    if text == "{}" {
        return Ok(Labels::empty());
    }
    let invalid = || format!("{text:?} is not a series: write name{{label=\"value\"}}");
    let expr = parse(text, limits).map_err(|error| format!("{}: {error}", invalid()))?;
    let ExprKind::Selector(selector) = expr.kind else {
        return Err(invalid());
    };
    let is_plain = |matcher: &crate::query::Matcher| matcher.op() == MatchOp::Equal;
    if selector.shift != TimeShift::default() || !selector.matchers.iter().all(is_plain) {
        return Err(invalid());
    }
    let pairs = selector.matchers.iter().map(|m| (m.name(), m.value()));
    Ok(Labels::from_pairs(pairs))
}

/// Parses the values of a series; `None` stands for a missing sample.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        item(word, &mut values).ok_or_else(|| {
            let valid = "write `1`, `_`, `stale`, `1x4`, `1+2x4`, `1-2x4` or `_x4`";
            format!("{word:?} is not a value of a series: {valid}")
        })?;
    }
    Ok(values)
}

fn item(word: &str, out: &mut Vec<Option<f64>>) -> Option<()> {
    if word == "stale" {
        out.push(Some(f64::from_bits(STALE_MARKER_BITS)));
        return Some(());
    }
    // Numbers are never hexadecimal here: `0x3` is four zeros.
    let (value, times) = match word.split_once('x') {
        Some((value, times)) => {
            let times: usize = times.parse().ok()?;
            (value, Some(times).filter(|times| *times <= MAX_REPEAT))
        }
        None => (word, Some(0)),
    };
    let times = times?;
    let is_repeated = word.contains('x');
    if value == "_" {
        let count = if is_repeated { times } else { 1 };
        out.extend(std::iter::repeat_n(None, count));
        return Some(());
    }
    let bytes = value.as_bytes();
    let is_step =
        |at: &usize| matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E');
    let (first, step) = match (1..bytes.len()).find(is_step) {
        Some(at) if is_repeated => (value.get(..at)?, number(value.get(at..)?)?),
        Some(_) => return None,
        None => (value, 0.0),
    };
    let mut next = number(first)?;
    // The start value plus `times` further values, added up step by step as in Prometheus.
    for _ in 0..=times {
        out.push(Some(next));
        next += step;
    }
    Some(())
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_name = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("nan");
    let starts_well = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if is_name || starts_well {
        text.parse().ok()
    } else {
        None
    }
}
