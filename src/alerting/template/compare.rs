//! Implements Go's comparisons: `eq`, `lt` and the functions that follow from them.

use super::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const NO_COMPARISON: &str = "invalid type for comparison";

/// Returns `true` if the first argument equals any other.
pub(super) fn equal(args: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = args else {
        return Err("missing argument for comparison".to_owned());
    };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        let same = match (first, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => a == b,
            #[expect(clippy::float_cmp, reason = "as in Go, equal is equal")]
            (Value::Float(a), Value::Float(b)) => a == b,
            (a, b) if a.as_text().is_some() && b.as_text().is_some() => a.as_text() == b.as_text(),
            (Value::Nil, Value::Nil) => true,
            (Value::Nil, _) | (_, Value::Nil) => false,
            (a, b) => {
                if let (Some(_), Some(_)) = (basic_kind(a), basic_kind(b)) {
                    return Err(INCOMPATIBLE.to_owned());
                }
                let map = [a, b].into_iter().find(|value| basic_kind(value).is_none());
                let name = map.map_or("", Value::type_name);
                return Err(format!(
                    "non-comparable type {}: {name}",
                    super::format::plain(a)
                ));
            }
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn less(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (a, b) if a.as_text().is_some() && b.as_text().is_some() => Ok(a.as_text() < b.as_text()),
        (Value::Bool(_), Value::Bool(_)) => Err(NO_COMPARISON.to_owned()),
        (a, b) => match (basic_kind(a), basic_kind(b)) {
            (Some(_), Some(_)) => Err(INCOMPATIBLE.to_owned()),
            (_, _) => Err(NO_COMPARISON.to_owned()),
        },
    }
}

pub(super) fn less_or_equal(left: &Value, right: &Value) -> Result<bool, String> {
    // As in Go, a NaN is neither less nor equal, so that `gt` with a NaN is true.
    Ok(less(left, right)? || equal(&[left.clone(), right.clone()])?)
}

fn basic_kind(value: &Value) -> Option<u8> {
    match value {
        Value::Bool(_) => Some(0),
        Value::Int(_) | Value::Duration(_) => Some(1),
        Value::Float(_) => Some(2),
        Value::Text(_) | Value::Safe(_) | Value::Json(_) => Some(3),
        _ => None,
    }
}
