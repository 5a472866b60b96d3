//! Converts a tree to options, by `serde`, and locates the first value that does not fit.

use std::{fmt::Display, time::Duration};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Expected, Unexpected, Visitor,
    value::{BorrowedStrDeserializer, U32Deserializer, U64Deserializer},
};

use super::{Node, Value, keys, ser::DURATION_STRUCT};

/// A value of the tree that does not fit its option.
#[derive(Debug)]
pub(in super::super) struct Problem {
    /// The steps from the root to the value.
    pub(in super::super) path: Vec<String>,
    pub(in super::super) kind: ProblemKind,
}

#[derive(Debug, PartialEq)]
pub(in super::super) enum ProblemKind {
    /// The key is another spelling of this key.
    Renamed(&'static str),
    /// The key names the file that has the value of this key.
    InFile(&'static str),
    /// The key is unknown. The value is the key with the most similar name.
    Unknown(Option<&'static str>),
    /// The value is invalid: it must be as the text says.
    Invalid(String),
    /// The value is invalid, for the reason in the text.
    Message(String),
}

/// Converts a tree to options.
pub(in super::super) fn from_tree<T: DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    T::deserialize(FromNode(node)).map_err(|mut error| {
        error.path.reverse();
        Problem {
            path: error.path,
            kind: error.kind,
        }
    })
}

/// The error of a value; the path is filled from its end while the error passes the maps and lists above the value.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?}")]
struct Error {
    path: Vec<String>,
    kind: ProblemKind,
}

type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: ProblemKind) -> Self {
        Self {
            path: Vec::new(),
            kind,
        }
    }

    fn invalid(expected: impl Into<String>) -> Self {
        Self::new(ProblemKind::Invalid(expected.into()))
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }
}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(ProblemKind::Message(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::invalid(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::invalid(one_of(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let nearest = keys::nearest(field, expected.iter().copied());
        Self::new(ProblemKind::Unknown(nearest))
    }
}

/// Lists names: `a`, `b` or `c`.
fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[derive(Clone, Copy)]
struct FromNode<'de>(&'de Node);

impl<'de> FromNode<'de> {
    fn text(self) -> Result<&'de str> {
        match &self.0.value {
            Value::Text(text) | Value::Secret(text) => Ok(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                Err(Error::invalid("a text; put it in quotes"))
            }
            _ => Err(Error::invalid("a text")),
        }
    }

    fn integer<T: TryFrom<i128>>(self) -> Result<T> {
        let value = match &self.0.value {
            Value::Integer(value) => Some(*value),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e18 => {
                Some(*value as i128)
            }
            _ => None,
        };
        let min_is_negative = T::try_from(-1).is_ok();
        let expected = match (value, min_is_negative) {
            (Some(value), false) if value < 0 => "a whole number from 0",
            (Some(_), _) => "a smaller whole number",
            _ => "a whole number",
        };
        value
            .and_then(|value| T::try_from(value).ok())
            .ok_or_else(|| Error::invalid(expected))
    }

    /// Parses a duration. A number without a unit counts milliseconds, as in the configurations of the JavaScript system.
    fn duration(self) -> Result<Duration> {
        let expected =
            || Error::invalid("a duration with its unit, for example `10s`, `500ms` or `5m`");
        match &self.0.value {
            Value::Integer(ms) => u64::try_from(*ms)
                .map(Duration::from_millis)
                .map_err(|_| expected()),
            Value::Float(ms) => Duration::try_from_secs_f64(ms / 1e3).map_err(|_| expected()),
            Value::Text(text) => humantime::parse_duration(text).map_err(|_| expected()),
            _ => Err(expected()),
        }
    }
}

macro_rules! integers {
    ($($method:ident => $visit:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.integer()?)
        })+
    };
}

impl<'de> de::Deserializer<'de> for FromNode<'de> {
    type Error = Error;

    integers! {
        deserialize_i8 => visit_i8, deserialize_i16 => visit_i16, deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64, deserialize_u8 => visit_u8, deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32, deserialize_u64 => visit_u64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_i64(value),
                (_, Ok(value)) => visitor.visit_u64(value),
                _ => Err(Error::invalid("a smaller whole number")),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) | Value::Secret(text) => visitor.visit_borrowed_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(..) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(Error::invalid("`true` or `false`")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.value {
            Value::Integer(value) => visitor.visit_f64(value as f64),
            Value::Float(value) => visitor.visit_f64(value),
            _ => Err(Error::invalid("a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.0.value {
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            // `key:` without a value is an empty list.
            Value::Null => visitor.visit_seq(Items {
                items: &[],
                next: 0,
            }),
            _ => Err(Error::invalid("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.0.value {
            Value::Map(_, entries) => visitor.visit_map(Entries { entries, next: 0 }),
            Value::Null => visitor.visit_map(Entries {
                entries: &[],
                next: 0,
            }),
            _ => Err(Error::invalid("a map of keys and values")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == DURATION_STRUCT {
            let duration = self.duration()?;
            return visitor.visit_seq(DurationParts(duration, 0));
        }
        if let Value::Map(_, entries) = &self.0.value {
            for (key, _) in entries {
                if let Some(kind) = check_key(key, fields) {
                    return Err(Error::new(kind).within(key.as_str()));
                }
            }
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match &self.0.value {
            Value::Text(text) => {
                let name = text.to_ascii_lowercase();
                let known = variants
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&name));
                let known = known.ok_or_else(|| Error::invalid(one_of(variants)))?;
                visitor.visit_enum(BorrowedStrDeserializer::new(known))
            }
            Value::Map(_, entries) => match entries.as_slice() {
                [(variant, content)] => {
                    let known = variants.iter().find(|known| *known == variant);
                    let variant = *known.ok_or_else(|| Error::invalid(one_of(variants)))?;
                    visitor.visit_enum(Variant { variant, content })
                }
                _ => Err(Error::invalid(one_of(variants))),
            },
            _ => Err(Error::invalid(one_of(variants))),
        }
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any }
}

/// Returns the problem of a key that is not among the fields.
fn check_key(key: &str, fields: &'static [&'static str]) -> Option<ProblemKind> {
    let find = |key: &str| fields.iter().find(|field| **field == key).copied();
    if find(key).is_some() {
        return None;
    }
    let snake = keys::snake_case(key);
    if let Some(field) = find(&snake) {
        return Some(ProblemKind::Renamed(field));
    }
    if let Some(field) = snake.strip_suffix("_file").and_then(find) {
        return Some(ProblemKind::InFile(field));
    }
    let nearest = keys::nearest(key, fields.iter().copied());
    Some(ProblemKind::Unknown(nearest))
}

struct Items<'de> {
    items: &'de [Node],
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let at = self.next;
        self.next += 1;
        let value = seed.deserialize(FromNode(item));
        value
            .map(Some)
            .map_err(|error| error.within(at.to_string()))
    }
}

struct Entries<'de> {
    entries: &'de [(String, Node)],
    next: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, _)) = self.entries.get(self.next) else {
            return Ok(None);
        };
        let value = seed.deserialize(BorrowedStrDeserializer::new(key));
        value
            .map(Some)
            .map_err(|error: Error| error.within(key.as_str()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let Some((key, value)) = self.entries.get(self.next) else {
            return Err(Error::invalid("a value"));
        };
        self.next += 1;
        let value = seed.deserialize(FromNode(value));
        value.map_err(|error| error.within(key.as_str()))
    }
}

/// The seconds and nanoseconds of a duration, as `serde` deserialises it.
struct DurationParts(Duration, u8);

impl<'de> de::SeqAccess<'de> for DurationParts {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.1 += 1;
        match self.1 {
            1 => seed
                .deserialize(U64Deserializer::new(self.0.as_secs()))
                .map(Some),
            2 => seed
                .deserialize(U32Deserializer::new(self.0.subsec_nanos()))
                .map(Some),
            _ => Ok(None),
        }
    }
}

struct Variant<'de> {
    variant: &'static str,
    content: &'de Node,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant: BorrowedStrDeserializer<'_, Error> =
            BorrowedStrDeserializer::new(self.variant);
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        let value = seed.deserialize(FromNode(self.content));
        value.map_err(|error| error.within(self.variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        let value = de::Deserializer::deserialize_tuple(FromNode(self.content), length, visitor);
        value.map_err(|error| error.within(self.variant))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let content = FromNode(self.content);
        let value = de::Deserializer::deserialize_struct(content, self.variant, fields, visitor);
        value.map_err(|error| error.within(self.variant))
    }
}
