//! Implements Go's `len`, `index` and `slice`.

use super::value::{List, Value};

/// The entry of a map; a missing one has the zero value of the map's type.
pub(super) fn entry(map: &Value, key: &str) -> Value {
    match map {
        Value::Labels(labels) => Value::text(labels.get(key).unwrap_or("")),
        Value::Kv(pairs) => Value::text(pairs.get(key).map_or("", String::as_str)),
        Value::Map(map) => map.entries.get(key).cloned().unwrap_or(Value::Nil),
        _ => Value::Nil,
    }
}

pub(super) fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) | Value::Safe(text) | Value::Json(text) => text.len(),
        Value::Labels(labels) => labels.iter().count(),
        Value::Kv(pairs) => pairs.len(),
        Value::Map(map) => map.entries.len(),
        Value::Samples(samples) => samples.len(),
        Value::List(list) => list.items.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::size(length))
}

pub(super) fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value.clone();
    for key in keys {
        value = match &value {
            Value::Nil => return Err("index of nil pointer".to_owned()),
            Value::Labels(_) | Value::Kv(_) | Value::Map(_) => match key {
                Value::Text(key) => entry(&value, key),
                Value::Nil => return Err("value is nil; should be string".to_owned()),
                other => {
                    let given = other.type_name();
                    return Err(format!("value has type {given}; should be string"));
                }
            },
            Value::Samples(samples) => {
                let at = position(key, samples.len(), false)?;
                Value::Sample(std::sync::Arc::clone(&samples[at]))
            }
            Value::List(list) => {
                let at = position(key, list.items.len(), false)?;
                list.items[at].clone()
            }
            Value::Text(text) | Value::Safe(text) | Value::Json(text) => {
                let at = position(key, text.len(), false)?;
                Value::Int(i64::from(text.as_bytes()[at]))
            }
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn position(key: &Value, length: usize, end_allowed: bool) -> Result<usize, String> {
    let at = match key {
        Value::Int(at) => *at,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            let given = other.type_name();
            return Err(format!("cannot index slice/array with type {given}"));
        }
    };
    let limit = length + usize::from(end_allowed);
    let position = usize::try_from(at).ok().filter(|at| *at < limit);
    position.ok_or_else(|| format!("index out of range: {at}"))
}

pub(super) fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let length = match value {
        Value::Text(_) | Value::Safe(_) | Value::Json(_) if bounds.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) | Value::Safe(text) | Value::Json(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        Value::List(list) => list.items.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut at = [0, length];
    for (place, bound) in at.iter_mut().zip(bounds) {
        *place = position(bound, length, true)?;
    }
    let [start, end] = at;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match value {
        Value::Samples(samples) => Value::Samples(samples[start..end].into()),
        Value::List(list) => Value::List(List {
            kind: list.kind,
            items: list.items[start..end].into(),
        }),
        // Go cuts bytes; half a character shows as the replacement character.
        Value::Text(text) | Value::Safe(text) | Value::Json(text) => {
            Value::text(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned())
        }
        _ => Value::Nil,
    })
}
