//! Converts options to a tree, by `serde`.

use serde::ser::{self, Serialize};

use super::{Node, Origin, Shape, Value};
use crate::privacy::{SECRET_STRUCT, with_exposed_secrets};

/// The name by which `serde` serialises `std::time::Duration`.
pub(super) const DURATION_STRUCT: &str = "Duration";

/// Converts options to a tree with one origin.
pub(in super::super) fn to_tree(options: &impl Serialize, origin: &Origin) -> Node {
    let value = with_exposed_secrets(|| options.serialize(ToValue)).unwrap_or(Value::Null);
    let mut node = Node::new(value, origin.clone());
    node.set_origin(origin);
    node
}

/// An option that cannot be represented; none of the options is such.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Error(String);

impl ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Result<T = Value> = std::result::Result<T, Error>;

#[derive(Clone, Copy)]
struct ToValue;

fn node(value: Value) -> Node {
    Node::new(value, Origin::Default)
}

fn value_of<T: Serialize + ?Sized>(value: &T) -> Result<Node> {
    value.serialize(ToValue).map(node)
}

/// Formats a duration as `1m30s`: every parser of durations in this crate accepts this form.
pub(super) fn duration_text(duration: std::time::Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

/// A list, a map or a struct in construction.
struct Items {
    list: Vec<Node>,
    entries: Vec<(String, Node)>,
    shape: Shape,
    variant: Option<&'static str>,
    is_duration: bool,
}

impl Items {
    fn new(shape: Shape, variant: Option<&'static str>) -> Self {
        Self {
            list: Vec::new(),
            entries: Vec::new(),
            shape,
            variant,
            is_duration: false,
        }
    }

    fn wrapped(variant: Option<&'static str>, value: Value) -> Value {
        match variant {
            None => value,
            Some(variant) => Value::Map(Shape::Variant, vec![(variant.to_owned(), node(value))]),
        }
    }

    fn list(self) -> Value {
        Self::wrapped(self.variant, Value::List(self.list))
    }

    fn map(self) -> Value {
        if self.is_duration {
            let part = |at: usize| match self.entries.get(at) {
                Some((
                    _,
                    Node {
                        value: Value::Integer(part),
                        ..
                    },
                )) => *part,
                _ => 0,
            };
            let (seconds, nanoseconds) = (part(0), part(1));
            let duration = std::time::Duration::new(seconds as u64, nanoseconds as u32);
            return Value::Text(duration_text(duration));
        }
        Self::wrapped(self.variant, Value::Map(self.shape, self.entries))
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result { Ok(Value::Integer(value.into())) })+
    };
}

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Items;
    type SerializeStruct = Items;
    type SerializeStructVariant = Items;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_bool(self, value: bool) -> Result {
        Ok(Value::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result {
        Ok(Value::Float(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Result {
        Ok(Value::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result {
        Ok(Value::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        Ok(Value::Text(String::from_utf8_lossy(value).into_owned()))
    }

    fn serialize_none(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(Value::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        match value.serialize(self)? {
            Value::Text(text) if name == SECRET_STRUCT => Ok(Value::Secret(text)),
            value => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        Ok(Items::wrapped(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items> {
        Ok(Items::new(Shape::Free, None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items> {
        Ok(Items::new(Shape::Free, Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items> {
        Ok(Items::new(Shape::Free, None))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Items> {
        let mut items = Items::new(Shape::Struct, None);
        items.is_duration = name == DURATION_STRUCT;
        Ok(items)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items> {
        Ok(Items::new(Shape::Struct, Some(variant)))
    }
}

macro_rules! lists {
    ($($trait:ident::$method:ident),+) => {
        $(impl ser::$trait for Items {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.list.push(value_of(value)?);
                Ok(())
            }

            fn end(self) -> Result {
                Ok(self.list())
            }
        })+
    };
}
lists! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field, SerializeTupleVariant::serialize_field
}

macro_rules! structs {
    ($($trait:ident),+) => {
        $(impl ser::$trait for Items {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.entries.push((key.to_owned(), value_of(value)?));
                Ok(())
            }

            fn end(self) -> Result {
                Ok(self.map())
            }
        })+
    };
}
structs! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for Items {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let key = match key.serialize(ToValue)? {
            Value::Text(key) => key,
            Value::Integer(key) => key.to_string(),
            _ => return Err(ser::Error::custom("a key is a text")),
        };
        self.entries.push((key, node(Value::Null)));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let value = value_of(value)?;
        if let Some((_, last)) = self.entries.last_mut() {
            *last = value;
        }
        Ok(())
    }

    fn end(self) -> Result {
        Ok(self.map())
    }
}
