//! Parses the YAML of a configuration file.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Options, Spanned};

use super::FileText;
use crate::config::{
    ConfigError, ConfigProblem, Origin,
    tree::{Node, Shape, Value},
};

/// A value with its line.
struct Raw {
    line: u64,
    value: RawValue,
}

enum RawValue {
    Scalar(Value),
    List(Vec<Raw>),
    Map(Vec<(String, u64, Raw)>),
}

/// Parses a file; `None` stands for an empty file. `variables` replace `${…}` in plain scalars.
pub(super) fn parse(
    file: &FileText,
    variables: HashMap<String, String>,
    notices: &mut Vec<String>,
) -> Result<Option<Node>, ConfigProblem> {
    let has_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !file.text.lines().any(has_content) {
        return Ok(None);
    }
    let options = Options::default();
    // The file is parsed a second time as it is, so that errors show `${VAR}` instead of the value of the variable.
    let written = read(file, options.clone())?;
    let replaced = read(file, options.with_properties(variables))?;
    let node = join(file, replaced, &written, notices);
    Ok(Some(node))
}

fn read(file: &FileText, options: Options) -> Result<Raw, ConfigProblem> {
    serde_saphyr::from_str_with_options(&file.text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        ConfigProblem::new(
            ConfigError::File {
                path: file.path.to_path_buf(),
                problem: format!("is not valid YAML: {}", error.without_snippet()),
            },
            if line > 0 {
                origin(file, line)
            } else {
                Origin::Code
            },
        )
    })
}

fn origin(file: &FileText, line: u64) -> Origin {
    Origin::File {
        path: Arc::clone(&file.path),
        line,
    }
}

/// Builds the tree, with the written text of each value in which a variable was replaced.
fn join(file: &FileText, raw: Raw, written: &Raw, notices: &mut Vec<String>) -> Node {
    let line = raw.line;
    let value = match (raw.value, &written.value) {
        (RawValue::Scalar(value), RawValue::Scalar(Value::Text(text))) if text.contains("${") => {
            let is_replaced = !matches!(&value, Value::Text(same) if same == text);
            let mut node = Node::new(value, origin(file, line));
            if is_replaced {
                node.reference = Some(text.as_str().into());
            } else {
                notices.push(format!(
                    "{}:{line}: {text:?} is in quotes, and a variable is replaced only without quotes",
                    file.path.display()
                ));
            }
            return node;
        }
        (RawValue::Scalar(value), _) => value,
        (RawValue::List(items), RawValue::List(texts)) => Value::List(
            items
                .into_iter()
                .zip(texts)
                .map(|(item, text)| join(file, item, text, notices))
                .collect(),
        ),
        (RawValue::Map(entries), RawValue::Map(texts)) => Value::Map(
            Shape::Free,
            entries
                .into_iter()
                .zip(texts)
                .map(|((key, line, value), (_, _, text))| {
                    let mut node = join(file, value, text, notices);
                    node.origin = origin(file, line);
                    (key, node)
                })
                .collect(),
        ),
        // Variables are replaced in scalars only, so both have the same form.
        (RawValue::List(_) | RawValue::Map(_), _) => Value::Null,
    };
    Node::new(value, origin(file, line))
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<RawValue>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<RawValue, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Integer(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            map.push((key.value, key.referenced.line(), entries.next_value()?));
        }
        Ok(RawValue::Map(map))
    }
}
