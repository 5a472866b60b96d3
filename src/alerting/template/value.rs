//! What a template computes with: the few of Go's types that an alert can hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::query::{Labels, engine::VectorSample};

/// A value of a template.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// What Go prints as `<no value>`.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// `map[string]string`
    Labels(Labels),
    /// `map[string]interface {}`: what `args` gives.
    Map(Arc<BTreeMap<String, Value>>),
    /// What `query` gives.
    Samples(Arc<[Arc<VectorSample>]>),
    Sample(Arc<VectorSample>),
    /// Milliseconds since the epoch.
    Time(i64),
    /// What the dot is at the start.
    Root,
}

impl Value {
    /// A length or a position.
    pub(super) fn size(size: usize) -> Self {
        Self::Int(i64::try_from(size).unwrap_or(i64::MAX))
    }

    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The type as Go names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Samples(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Time(_) => "*time.Time",
            Self::Root => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; \
                 ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Whether `if` takes it: neither zero nor empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(value) => !value.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Time(_) | Self::Root => true,
        }
    }
}
