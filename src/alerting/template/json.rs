//! Writes values as JSON, as Go's `encoding/json` does.

use std::fmt::Write as _;

use super::float;
use super::value::Value;

/// The JSON of a value. JSON has no NaN and no infinity: they become `null`.
pub(super) fn encode(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Nil | Value::Root => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Duration(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => out.push_str(&number(*value)),
        Value::Text(text) | Value::Safe(text) => string(text, out),
        Value::Json(text) => out.push_str(text),
        Value::Labels(labels) => {
            let pairs = labels.iter().map(|label| (label.name(), label.value()));
            entries(pairs, out, string);
        }
        Value::Kv(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            entries(pairs, out, string);
        }
        Value::Map(map) => {
            let pairs = map.entries.iter();
            entries(
                pairs.map(|(name, value)| (name.as_str(), value)),
                out,
                write,
            );
        }
        Value::Object(object) => {
            let fields = object.fields.iter();
            entries(
                fields.map(|field| (field.json_name, &field.value)),
                out,
                write,
            );
        }
        Value::List(list) => items(list.items.iter(), out, write),
        Value::Samples(samples) => items(samples.iter(), out, |sample, out| {
            write(&Value::Sample(std::sync::Arc::clone(sample)), out);
        }),
        Value::Sample(sample) => {
            let labels = Value::Labels(sample.labels.clone());
            let value = Value::Float(sample.point.value);
            entries([("Labels", &labels), ("Value", &value)], out, write);
        }
        Value::Time(time) => string(&time.json(), out),
    }
}

/// A number: with an exponent beyond the limits that Go sets. NaN and infinities become `null`.
fn number(value: f64) -> String {
    if !value.is_finite() {
        "null".to_owned()
    } else if value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
        value.to_string()
    } else {
        float::exponent(value, None)
    }
}

fn entries<'n, T>(
    pairs: impl IntoIterator<Item = (&'n str, T)>,
    out: &mut String,
    write: impl Fn(T, &mut String),
) {
    out.push('{');
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn items<T>(items: impl IntoIterator<Item = T>, out: &mut String, write: impl Fn(T, &mut String)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

/// A string. Go escapes the characters of HTML as well, so that JSON may stand in a page.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
