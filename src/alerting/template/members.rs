//! Finds the fields and calls the methods of values: `.Labels.job`, `.Alerts.Firing`, `.StartsAt.Format "15:04"`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtins;
use super::exec::Inputs;
use super::time::{duration_method, wrong_count};
use super::value::{Field, List, ListKind, Value};

/// The label that stands first among sorted pairs, as in Alertmanager.
const ALERT_NAME: &str = "alertname";

/// Returns the field of this name, or `None` if the value has no such field.
pub(super) fn field(value: &Value, name: &str, inputs: &Inputs<'_>) -> Option<Value> {
    match value {
        Value::Root => {
            let context = inputs.rule?;
            match name {
                "Labels" => Some(Value::Labels(context.labels.clone())),
                "ExternalLabels" => Some(Value::Labels(context.shared.external_labels.clone())),
                "ExternalURL" => Some(Value::text(context.shared.external_url)),
                "Value" => Some(Value::Float(context.value)),
                _ => None,
            }
        }
        Value::Sample(sample) => match name {
            "Labels" => Some(Value::Labels(sample.labels.clone())),
            "Value" => Some(Value::Float(sample.point.value)),
            _ => None,
        },
        Value::Object(object) => object.get(name).cloned(),
        Value::Labels(_) | Value::Kv(_) | Value::Map(_) => Some(builtins::entry(value, name)),
        Value::Nil => Some(Value::Nil),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Safe(_)
        | Value::Json(_)
        | Value::Samples(_)
        | Value::List(_)
        | Value::Time(_)
        | Value::Duration(_) => None,
    }
}

/// Returns the result of the method of this name, or `None` if the value has no such method.
pub(super) fn method(value: &Value, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    match value {
        Value::Time(time) => time.method(name, args),
        Value::Duration(nanoseconds) => duration_method(*nanoseconds, name, args),
        Value::Kv(pairs) => match name {
            "Remove" => Some(remove(pairs, args)),
            _ => without_args(kv_method(pairs, name), name, args),
        },
        Value::List(list) => without_args(list_method(list, name), name, args),
        _ => None,
    }
}

fn without_args(value: Option<Value>, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let value = value?;
    Some(if args.is_empty() {
        Ok(value)
    } else {
        Err(wrong_count(name, 0, args.len()))
    })
}

fn kv_method(pairs: &BTreeMap<String, String>, name: &str) -> Option<Value> {
    let sorted = sorted_pairs(pairs);
    Some(match name {
        "SortedPairs" => Value::list(
            ListKind::Pairs,
            sorted.map(|(name, value)| {
                let fields = vec![
                    Field::new("Name", "Name", Value::text(name)),
                    Field::new("Value", "Value", Value::text(value)),
                ];
                Value::object("template.Pair", fields)
            }),
        ),
        "Names" => Value::strings(sorted.map(|(name, _)| name)),
        "Values" => Value::strings(sorted.map(|(_, value)| value)),
        "String" => Value::text(kv_text(pairs)),
        _ => return None,
    })
}

/// The pairs by name, the name of the alert first.
fn sorted_pairs(pairs: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let first = pairs.get_key_value(ALERT_NAME);
    let others = pairs.iter().filter(|(name, _)| *name != ALERT_NAME);
    first
        .into_iter()
        .chain(others)
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// `alertname=Slow, job=router`
pub(super) fn kv_text(pairs: &BTreeMap<String, String>) -> String {
    let pairs = sorted_pairs(pairs).map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// The same pairs without these names.
fn remove(pairs: &BTreeMap<String, String>, args: &[Value]) -> Result<Value, String> {
    let [names] = args else {
        return Err(wrong_count("Remove", 1, args.len()));
    };
    let Value::List(List {
        kind: ListKind::Strings,
        items,
    }) = names
    else {
        let given = names.type_name();
        return Err(format!(
            "wrong type for value; expected []string; got {given}"
        ));
    };
    let is_kept = |name: &str| items.iter().all(|item| item.as_text() != Some(name));
    let kept = pairs.iter().filter(|(name, _)| is_kept(name));
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    Ok(Value::Kv(Arc::new(kept.collect())))
}

fn list_method(list: &List, name: &str) -> Option<Value> {
    match (list.kind, name) {
        (ListKind::Alerts, "Firing") => Some(with_status(list, "firing")),
        (ListKind::Alerts, "Resolved") => Some(with_status(list, "resolved")),
        (ListKind::Pairs, "Names") => Some(column(list, "Name")),
        (ListKind::Pairs, "Values") => Some(column(list, "Value")),
        (ListKind::Pairs, "String") => Some(Value::text(pairs_text(list))),
        _ => None,
    }
}

fn with_status(list: &List, status: &str) -> Value {
    let items = list.items.iter().filter(|item| match item {
        Value::Object(alert) => {
            let own = alert.get("Status").and_then(Value::as_text);
            own == Some(status)
        }
        _ => false,
    });
    Value::list(ListKind::Alerts, items.cloned())
}

fn column(list: &List, name: &str) -> Value {
    let cells = list.items.iter().filter_map(|item| match item {
        Value::Object(pair) => pair.get(name).cloned(),
        _ => None,
    });
    Value::list(ListKind::Strings, cells)
}

/// `alertname=Slow, job=router`
pub(super) fn pairs_text(list: &List) -> String {
    let pairs = list.items.iter().map(|item| match item {
        Value::Object(pair) => {
            let text = |name| pair.get(name).and_then(Value::as_text).unwrap_or("");
            format!("{}={}", text("Name"), text("Value"))
        }
        _ => String::new(),
    });
    pairs.collect::<Vec<_>>().join(", ")
}
