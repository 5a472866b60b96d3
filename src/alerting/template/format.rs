//! Values as text, as Go's `fmt.Print` writes them.

use std::fmt::Write as _;

use super::value::Value;
use super::{float as go_float, time};

pub(super) use super::float::parse as parse_float;
pub(super) use super::printf::printf;

/// `%.4g`, for four significant digits.
pub(super) fn significant(value: f64, digits: usize) -> String {
    go_float::general(value, Some(digits))
}

/// `%v` of a float.
pub(super) fn float(value: f64) -> String {
    go_float::general(value, None)
}

/// What an action writes.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".to_owned(),
        Value::Text(text) => text.to_string(),
        other => plain(other),
    }
}

/// `%v`
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Text(text) => text.to_string(),
        Value::Labels(labels) => {
            let pairs = labels.iter().map(|l| format!("{}:{}", l.name(), l.value()));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", plain(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Sample(sample) => format!(
            "{{{} {}}}",
            plain(&Value::Labels(sample.labels.clone())),
            float(sample.point.value)
        ),
        // Go writes the addresses of the samples here; their contents are of more use.
        Value::Samples(samples) => {
            let items = samples.iter().map(|s| plain(&Value::Sample(s.clone())));
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        Value::Time(milliseconds) => time::printed(*milliseconds),
        Value::Root => "{}".to_owned(),
    }
}

/// `fmt.Sprint`: a space between two values of which none is a text.
pub(super) fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !is_text(arg) && !is_text(&args[at - 1]) {
            out.push(' ');
        }
        out.push_str(&plain(arg));
    }
    out
}

pub(super) fn println(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let space = if at == 0 { "" } else { " " };
        let _ = write!(out, "{space}{}", plain(arg));
    }
    out.push('\n');
    out
}

/// What `html`, `js` and `urlquery` escape.
pub(super) fn joined(args: &[Value]) -> String {
    match args {
        [Value::Text(text)] => text.to_string(),
        [Value::Nil] => "<no value>".to_owned(),
        args => print(args),
    }
}

/// Go's `strings.Title`: the first letter of each word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        let starts_word = if previous.is_ascii() {
            !(previous.is_ascii_alphanumeric() || previous == '_')
        } else {
            !previous.is_alphanumeric() && previous.is_whitespace()
        };
        if starts_word {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        previous = c;
    }
    out
}
