//! Defines the values of a template: Go's types, as far as rules and notifications use them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::time::Time;
use crate::query::{Labels, engine::VectorSample};

/// Leaves of the map that `args` returns. A map inside a map counts with its leaves, so that `{{ $x = args $x $x }}`
/// fails instead of doubling.
const MAX_ARGS_LEAVES: usize = 200;

/// A value of a template.
#[derive(Clone, Debug)]
pub(in crate::alerting) enum Value {
    /// Go's `nil`.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// A text that is written without escaping: the result of `safeHtml`.
    Safe(Arc<str>),
    /// A JSON document: the result of `toJson`. A JSON body takes it as it is.
    Json(Arc<str>),
    /// The labels of a rule's element: `map[string]string`.
    Labels(Labels),
    /// The labels or annotations of a notification: Alertmanager's `template.KV`.
    Kv(Arc<BTreeMap<String, String>>),
    /// The result of `args`: `map[string]interface {}`.
    Map(Arc<ArgsMap>),
    /// The result of `query`.
    Samples(Arc<[Arc<VectorSample>]>),
    Sample(Arc<VectorSample>),
    List(List),
    Object(Arc<Object>),
    Time(Time),
    /// Nanoseconds: Go's `time.Duration`.
    Duration(i64),
    /// The dot of a rule's template.
    Root,
}

/// The map that `args` returns.
#[derive(Debug)]
pub(in crate::alerting) struct ArgsMap {
    pub(super) entries: BTreeMap<String, Value>,
    leaves: usize,
}

/// A slice of values of one type.
#[derive(Clone, Debug)]
pub(in crate::alerting) struct List {
    pub(super) kind: ListKind,
    pub(super) items: Arc<[Value]>,
}

/// The type of a list: it decides the list's methods and its name in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alerting) enum ListKind {
    /// `[]string`
    Strings,
    /// `template.Pairs`, with the methods `Names`, `Values` and `String`.
    Pairs,
    /// `template.Alerts`, with the methods `Firing` and `Resolved`.
    Alerts,
    /// A list without methods, by its type's name.
    Other(&'static str),
}

/// A struct: named fields in a fixed order.
#[derive(Debug)]
pub(in crate::alerting) struct Object {
    pub(super) type_name: &'static str,
    pub(super) fields: Vec<Field>,
}

/// A field of an [`Object`].
#[derive(Debug)]
pub(in crate::alerting) struct Field {
    /// The name in templates: `StartsAt`.
    pub(super) name: &'static str,
    /// The name in JSON: `startsAt`.
    pub(super) json_name: &'static str,
    pub(super) value: Value,
}

impl Field {
    pub(in crate::alerting) fn new(
        name: &'static str,
        json_name: &'static str,
        value: Value,
    ) -> Self {
        Self {
            name,
            json_name,
            value,
        }
    }

    #[cfg(test)]
    pub(in crate::alerting) fn name(&self) -> &'static str {
        self.name
    }
}

impl Object {
    pub(in crate::alerting) fn new(type_name: &'static str, fields: Vec<Field>) -> Self {
        Self { type_name, fields }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.fields.iter();
        fields
            .find(|field| field.name == name)
            .map(|field| &field.value)
    }

    #[cfg(test)]
    pub(in crate::alerting) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl ArgsMap {
    /// Builds the map `arg0`, `arg1`, …, or returns `None` if it has more than [`MAX_ARGS_LEAVES`].
    pub(super) fn new(args: &[Value]) -> Option<Self> {
        let leaves = args.iter().map(|value| match value {
            Value::Map(map) => map.leaves + 1,
            _ => 1,
        });
        let leaves = leaves.sum();
        let pairs = args.iter().enumerate();
        let pairs = pairs.map(|(index, value)| (format!("arg{index}"), value.clone()));
        (leaves <= MAX_ARGS_LEAVES).then(|| Self {
            entries: pairs.collect(),
            leaves,
        })
    }
}

impl Value {
    /// A length or a position.
    pub(in crate::alerting) fn size(size: usize) -> Self {
        Self::Int(i64::try_from(size).unwrap_or(i64::MAX))
    }

    pub(in crate::alerting) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(in crate::alerting) fn object(type_name: &'static str, fields: Vec<Field>) -> Self {
        Self::Object(Arc::new(Object::new(type_name, fields)))
    }

    pub(in crate::alerting) fn list(kind: ListKind, items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(List {
            kind,
            items: items.into_iter().collect(),
        })
    }

    /// A list of texts: Go's `[]string`.
    pub(super) fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::list(ListKind::Strings, texts.into_iter().map(Self::text))
    }

    /// A time in UTC, from milliseconds since the epoch.
    pub(in crate::alerting) fn time(milliseconds: i64) -> Self {
        Self::Time(Time::utc(milliseconds))
    }

    /// The text of a value of Go's kind string.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Safe(text) | Self::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The type as Go names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) | Self::Json(_) => "string",
            Self::Safe(_) => "template.HTML",
            Self::Labels(_) => "map[string]string",
            Self::Kv(_) => "template.KV",
            Self::Map(_) => "map[string]interface {}",
            Self::Samples(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::List(list) => match list.kind {
                ListKind::Strings => "[]string",
                ListKind::Pairs => "template.Pairs",
                ListKind::Alerts => "template.Alerts",
                ListKind::Other(name) => name,
            },
            Self::Object(object) => object.type_name,
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Root => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; \
                 ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Returns `true` if `if` takes the value: neither zero nor empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(value) | Self::Safe(value) | Self::Json(value) => !value.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Kv(pairs) => !pairs.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Sample(_) | Self::Time(_) | Self::Object(_) | Self::Root => true,
        }
    }
}
