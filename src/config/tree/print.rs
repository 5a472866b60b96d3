//! Prints a tree as YAML with the origin of each value in a comment.

use std::fmt::Write as _;

use super::{Node, Value};

/// The column of the comments, where values leave room for it.
const COMMENT_COLUMN: usize = 44;

/// Prints a tree as a configuration file with the origin of each value in a comment. A secret is a
/// comment with `***`.
pub(in super::super) fn print(root: &Node) -> String {
    let mut text = String::new();
    map(&mut text, root, 0);
    text
}

fn map(text: &mut String, node: &Node, depth: usize) {
    let Value::Map(_, entries) = &node.value else {
        return;
    };
    for (key, node) in entries {
        let start = text.len();
        // A secret is a comment, so that the printed file does not replace it by stars.
        let mark = if is_secret(&node.value) { "#" } else { "" };
        let _ = write!(text, "{:depth$}{mark}{}:", "", scalar_text(key));
        rest(text, node, depth, start);
    }
}

/// Prints a value behind its key or its dash.
fn rest(text: &mut String, node: &Node, depth: usize, start: usize) {
    match &node.value {
        Value::Map(_, entries) if !entries.is_empty() => {
            text.push('\n');
            map(text, node, depth + 2);
        }
        Value::List(items) if !items.is_empty() && items.iter().any(is_nested) => {
            text.push('\n');
            for item in items {
                let start = text.len();
                let _ = write!(text, "{:depth$}  -", "");
                rest(text, item, depth + 2, start);
            }
        }
        value => {
            let _ = write!(text, " {}", inline(value));
            let width = text[start..].chars().count();
            let gap = COMMENT_COLUMN.saturating_sub(width).max(2);
            let _ = writeln!(text, "{:gap$}# {}", "", node.origin);
        }
    }
}

fn is_secret(value: &Value) -> bool {
    match value {
        Value::Secret(text) => !text.is_empty(),
        Value::List(items) => items.iter().any(|item| is_secret(&item.value)),
        _ => false,
    }
}

fn is_nested(node: &Node) -> bool {
    matches!(node.value, Value::Map(..))
}

pub(in super::super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => scalar_text(text),
        Value::Secret(text) if text.is_empty() => "\"\"".to_owned(),
        Value::Secret(_) => "\"***\"".to_owned(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(_, entries) => {
            let entry = |(key, node): &(String, Node)| format!("{key}: {}", inline(&node.value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Returns a text as a YAML scalar, in quotes unless every YAML parser reads the plain text as the same text.
pub(in super::super) fn scalar_text(text: &str) -> String {
    let is_plain = text
        .starts_with(|first: char| first.is_ascii_alphabetic() || "/._".contains(first))
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err()
        && text != "."
        || is_duration(text);
    if is_plain {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_default()
}

fn is_duration(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_alphabetic())
        && text
            .chars()
            .all(|char| char.is_ascii_digit() || "yhdmsun".contains(char))
}
