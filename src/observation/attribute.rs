//! Attribute values of spans whose names and attributes are known only at run time.

/// The value of a span attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// A Boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Number(f64),
    /// A string.
    Text(String),
}

macro_rules! from {
    ($($from:ty => $variant:ident by $into:expr;)+) => {$(
        impl From<$from> for AttributeValue {
            fn from(value: $from) -> Self {
                Self::$variant($into(value))
            }
        }
    )+};
}

from! {
    bool => Bool by bool::from;
    i8 => Integer by i64::from;
    i16 => Integer by i64::from;
    i32 => Integer by i64::from;
    i64 => Integer by i64::from;
    u8 => Integer by i64::from;
    u16 => Integer by i64::from;
    u32 => Integer by i64::from;
    f32 => Number by f64::from;
    f64 => Number by f64::from;
    &str => Text by str::to_owned;
    String => Text by String::from;
}

/// A value above `i64::MAX`, the largest integer of OpenTelemetry, becomes its decimal text, which is exact.
impl From<u64> for AttributeValue {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(value.to_string()), Self::Integer)
    }
}

/// Converts through `u64`.
impl From<usize> for AttributeValue {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

/// The attributes of a span: pairs of name and value in an array, a `Vec` or a map, or a tuple of pairs whose values have
/// different types.
///
/// ```
/// # use llm_observatory::Observatory;
/// # async fn example(observatory: &Observatory) {
/// let attributes = (("documents", 40), ("model", "rerank-v3"), ("is_cached", true));
/// observatory.with_span("rerank", attributes, async { /* … */ }).await;
/// # }
/// ```
pub trait SpanAttributes {
    /// Passes the name and the value of each attribute to `set`.
    fn each(self, set: &mut dyn FnMut(String, AttributeValue));
}

macro_rules! lists {
    ($(($($length:tt)*) $list:ty;)+) => {$(
        impl<K: Into<String>, V: Into<AttributeValue>, $($length)*> SpanAttributes for $list {
            fn each(self, set: &mut dyn FnMut(String, AttributeValue)) {
                for (key, value) in self {
                    set(key.into(), value.into());
                }
            }
        }
    )+};
}

lists! {
    (const N: usize) [(K, V); N];
    () Vec<(K, V)>;
    () std::collections::BTreeMap<K, V>;
}

macro_rules! tuples {
    ($(($($key:ident $value:ident),*))+) => {$(
        impl<$($key: Into<String>, $value: Into<AttributeValue>),*> SpanAttributes for ($(($key, $value),)*) {
            #[expect(clippy::allow_attributes, reason = "the empty tuple has no names")]
            #[allow(non_snake_case, unused_variables, clippy::unused_unit, reason = "one name for a type and its value")]
            fn each(self, set: &mut dyn FnMut(String, AttributeValue)) {
                let ($(($key, $value),)*) = self;
                $(set($key.into(), $value.into());)*
            }
        }
    )+};
}

tuples! {
    ()
    (K1 V1)
    (K1 V1, K2 V2)
    (K1 V1, K2 V2, K3 V3)
    (K1 V1, K2 V2, K3 V3, K4 V4)
    (K1 V1, K2 V2, K3 V3, K4 V4, K5 V5)
    (K1 V1, K2 V2, K3 V3, K4 V4, K5 V5, K6 V6)
    (K1 V1, K2 V2, K3 V3, K4 V4, K5 V5, K6 V6, K7 V7)
    (K1 V1, K2 V2, K3 V3, K4 V4, K5 V5, K6 V6, K7 V7, K8 V8)
}

#[cfg(test)]
mod tests {
    use super::AttributeValue;

    #[test]
    fn an_integer_beyond_i64_becomes_its_exact_text() {
        assert_eq!(AttributeValue::from(3_usize), AttributeValue::Integer(3));
        assert_eq!(
            AttributeValue::from(u64::MAX),
            AttributeValue::Text("18446744073709551615".to_owned())
        );
    }
}
