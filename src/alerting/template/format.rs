//! Writes values as text, as Go's `fmt.Print` does.

use std::fmt::Write as _;

use super::value::{ListKind, Value};
use super::{float as go_float, members, time};

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

/// The text that an action writes; `nil` stands for nothing.
pub(super) fn printed(value: &Value, nil: &str) -> String {
    match value {
        Value::Nil => nil.to_owned(),
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
        Value::Text(text) | Value::Safe(text) | Value::Json(text) => text.to_string(),
        Value::Labels(labels) => {
            let pairs = labels.iter().map(|l| format!("{}:{}", l.name(), l.value()));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Kv(pairs) => members::kv_text(pairs),
        Value::Map(map) => {
            let pairs = map
                .entries
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
        Value::List(list) if list.kind == ListKind::Pairs => members::pairs_text(list),
        Value::List(list) => {
            let items = list.items.iter().map(plain);
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        Value::Object(object) => {
            let fields = object.fields.iter().map(|field| plain(&field.value));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Time(time) => time.printed(),
        Value::Duration(nanoseconds) => time::printed_duration(*nanoseconds),
        Value::Root => "{}".to_owned(),
    }
}

/// `fmt.Sprint`: a space separates two values if neither is a text.
pub(super) fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let is_text = |value: &Value| value.as_text().is_some();
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

/// The text that `html`, `js` and `urlquery` escape.
pub(super) fn joined(args: &[Value]) -> String {
    match args {
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

/// Go's `cases.Title`: each word in lower case but for its first letter. A word goes on over an apostrophe, a full stop
/// or a colon between two letters.
pub(super) fn title_case(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut is_in_word = false;
    for (index, &c) in chars.iter().enumerate() {
        let is_letter = |index: Option<usize>| {
            let c = index.and_then(|index| chars.get(index));
            c.is_some_and(|c| c.is_alphabetic())
        };
        let joins = matches!(c, '\'' | '\u{2019}' | '.' | ':' | '\u{b7}')
            && is_letter(index.checked_sub(1))
            && is_letter(Some(index + 1));
        if c.is_alphabetic() && !is_in_word {
            is_in_word = true;
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        } else if c.is_alphabetic() {
            out.extend(c.to_lowercase());
        } else {
            is_in_word &= joins || c == '_' || c.is_numeric();
            out.push(c);
        }
    }
    out
}
