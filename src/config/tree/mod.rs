//! A configuration as a tree of values, each with its origin: the form in which layers are merged and printed.
//!
//! The options of all areas are converted to a tree and back by `serde`, so a new option needs no code here. A
//! `Duration` is a text such as `30s` in the tree, and a [`Secret`](crate::Secret) keeps its value and its mark.

mod de;
mod keys;
mod print;
mod ser;

use std::sync::Arc;

#[cfg(feature = "json-schema")]
pub(super) use self::print::{inline, scalar_text};
pub(super) use self::{
    de::{Problem, ProblemKind, from_tree},
    keys::snake_case,
    print::print,
    ser::to_tree,
};
use crate::settings::Origin;

/// A value with its origin. Not `Debug`, since the tree has the values of secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// The key as it is written in the file, if it differs from the key in the tree.
    pub(super) written: Option<Arc<str>>,
    /// The text in the file, if `${…}` in it was replaced. Errors show this text, since the variable may be a secret.
    pub(super) reference: Option<Arc<str>>,
}

/// A value of the tree.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Secret(String),
    List(Vec<Node>),
    Map(Shape, Vec<(String, Node)>),
}

/// The kind of a map, which decides how layers are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The fields of a struct: the keys are known.
    Struct,
    /// A map with free keys.
    Free,
    /// The variant of an enum and its fields: another variant replaces the map.
    Variant,
}

impl Value {
    /// Returns `true` if two values are equal, without regard to their origins.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Integer(a), Self::Float(b)) | (Self::Float(b), Self::Integer(a)) => {
                (*a as f64).to_bits() == b.to_bits()
            }
            (Self::Text(a) | Self::Secret(a), Self::Text(b) | Self::Secret(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.value.is_same(&b.value))
            }
            (Self::Map(_, a), Self::Map(_, b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| {
                        let found = b.iter().find(|(other, _)| other == key);
                        found.is_some_and(|(_, b)| a.value.is_same(&b.value))
                    })
            }
            _ => false,
        }
    }
}

impl Node {
    pub(super) fn new(value: Value, origin: Origin) -> Self {
        Self {
            value,
            origin,
            written: None,
            reference: None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(_, entries) => entries.iter().find(|(k, _)| k == key).map(|(_, n)| n),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(_, entries) => entries.iter_mut().find(|(k, _)| k == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// Removes an entry of a map.
    pub(super) fn take(&mut self, key: &str) -> Option<Self> {
        let Value::Map(_, entries) = &mut self.value else {
            return None;
        };
        let at = entries.iter().position(|(k, _)| k == key)?;
        Some(entries.remove(at).1)
    }

    /// Adds an entry to a map, or replaces it.
    pub(super) fn insert(&mut self, key: &str, node: Self) {
        if let Value::Map(_, entries) = &mut self.value {
            match entries.iter_mut().find(|(k, _)| k == key) {
                Some((_, old)) => *old = node,
                None => entries.push((key.to_owned(), node)),
            }
        }
    }

    /// Sets the origin of a value and of all values in it.
    pub(super) fn set_origin(&mut self, origin: &Origin) {
        self.origin = origin.clone();
        self.reference = None;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|node| node.set_origin(origin)),
            Value::Map(_, entries) => {
                for (_, node) in entries {
                    node.set_origin(origin);
                }
            }
            _ => {}
        }
    }

    /// Puts the values of a higher layer over this tree. Maps are merged by key, other values are replaced. In a
    /// map with free keys, such as labels and channels, an empty value removes the entry.
    pub(super) fn merge(&mut self, over: Self) {
        let is_merged = match (&self.value, &over.value) {
            (Value::Map(Shape::Variant, old), Value::Map(_, new)) => {
                old.first().map(|(key, _)| key) == new.first().map(|(key, _)| key)
            }
            (Value::Map(..), Value::Map(..)) => true,
            _ => false,
        };
        if !is_merged {
            // `section:` without keys changes nothing.
            if !matches!((&self.value, &over.value), (Value::Map(..), Value::Null)) {
                *self = over;
            }
            return;
        }
        self.origin = over.origin;
        self.written = over.written;
        let Value::Map(_, entries) = over.value else {
            return;
        };
        let is_free = matches!(self.value, Value::Map(Shape::Free, _));
        for (key, node) in entries {
            if is_free && matches!(node.value, Value::Null) {
                self.take(&key);
                continue;
            }
            match self.get_mut(&key) {
                Some(old) => old.merge(node),
                None => self.insert(&key, node),
            }
        }
    }

    /// Takes the values of `new`, and keeps the origin of each value that is the same in both. The origin of the other
    /// values is `origin`; without it, every value keeps its origin.
    pub(super) fn refresh(&mut self, new: Self, origin: Option<&Origin>) {
        let is_list = |list: &[Self], new: &Value| matches!(new, Value::List(items) if items.len() == list.len());
        match (&mut self.value, new.value) {
            (Value::Map(..), Value::Map(shape, entries)) => {
                let mut kept = Vec::with_capacity(entries.len());
                for (key, mut node) in entries {
                    if let Some(mut old) = self.take(&key) {
                        old.refresh(node, origin);
                        kept.push((key, old));
                    } else {
                        node.set_origin(origin.unwrap_or(&self.origin));
                        kept.push((key, node));
                    }
                }
                self.value = Value::Map(shape, kept);
            }
            (Value::List(list), new) if origin.is_none() && is_list(list, &new) => {
                let Value::List(items) = new else {
                    return;
                };
                for (old, new) in list.iter_mut().zip(items) {
                    old.refresh(new, origin);
                }
            }
            (old, value) => {
                if let Some(origin) = origin
                    && !old.is_same(&value)
                {
                    *self = Self::new(value, origin.clone());
                    self.set_origin(origin);
                } else if !matches!(old, Value::List(_)) || !old.is_same(&value) {
                    // The new value has the mark of a secret and the canonical spelling.
                    *old = value;
                }
            }
        }
    }

    /// Sets the origin of the values that a variable alone changes from `before` to `alone`, if they have that value
    /// in this tree.
    pub(super) fn attribute(&mut self, before: &Self, alone: &Self, origin: &Origin) {
        if let (Value::Map(..), Value::Map(..), Value::Map(_, entries)) =
            (&before.value, &alone.value, &mut self.value)
        {
            for (key, node) in entries {
                if let (Some(before), Some(alone)) = (before.get(key), alone.get(key)) {
                    node.attribute(before, alone, origin);
                }
            }
        } else if !alone.value.is_same(&before.value) && alone.value.is_same(&self.value) {
            self.set_origin(origin);
        }
    }

    /// Returns the value at a path, or the nearest value above it.
    pub(super) fn at(&self, path: &[String]) -> &Self {
        let Some((first, rest)) = path.split_first() else {
            return self;
        };
        let child = match &self.value {
            Value::List(items) => first.parse().ok().and_then(|at: usize| items.get(at)),
            _ => self.get(first),
        };
        child.map_or(self, |child| child.at(rest))
    }

    /// Returns the value at a path.
    pub(super) fn at_mut(&mut self, path: &[String]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let child = match &mut self.value {
            Value::List(items) => first.parse().ok().and_then(|at: usize| items.get_mut(at)),
            Value::Map(_, entries) => entries.iter_mut().find(|(k, _)| k == first).map(|(_, n)| n),
            _ => None,
        };
        child?.at_mut(rest)
    }

    /// Replaces the value at a path by the value in `defaults`, or removes it if `defaults` has no value there. An item of
    /// a list is replaced together with its list. Returns `false` if nothing has changed.
    pub(super) fn reset(&mut self, path: &[String], defaults: Option<&Self>) -> bool {
        let replaced = |this: &mut Self| match defaults {
            Some(default) if !this.value.is_same(&default.value) => {
                *this = default.clone();
                true
            }
            _ => false,
        };
        let Some((first, rest)) = path.split_first() else {
            return replaced(self);
        };
        if matches!(self.value, Value::List(_)) || self.get(first).is_none() {
            return replaced(self);
        }
        let default = defaults.and_then(|defaults| defaults.get(first));
        if let Some(child) = self.get_mut(first)
            && child.reset(rest, default)
        {
            return true;
        }
        default.is_none() && self.take(first).is_some()
    }

    /// Returns the value for an error, without secrets.
    pub(super) fn shown(&self) -> String {
        if let Some(reference) = &self.reference {
            return format!("{reference:?}");
        }
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::Secret(_) => "***".to_owned(),
            Value::List(items) => format!("a list of {} values", items.len()),
            Value::Map(_, entries) => {
                let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
                format!("a map with {}", keys.join(", "))
            }
        }
    }
}

/// Splits a key such as `traces.sampling.rules[1].ratio` into its steps.
pub(super) fn steps(key: &str) -> Vec<String> {
    key.split(['.', '['])
        .map(|step| step.trim_end_matches(']').to_owned())
        .filter(|step| !step.is_empty())
        .collect()
}
