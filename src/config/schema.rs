//! The JSON Schema of the configuration file, and the commented file that is generated from it.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::{
    Config, Origin,
    tree::{Node, Shape, Value, inline, scalar_text, to_tree},
};

/// The columns of the commented file.
const WIDTH: usize = 100;

/// Returns the JSON Schema of the configuration file.
pub(super) fn json_schema() -> Json {
    let mut schema = schemars::schema_for!(Config).to_value();
    if let Some(definitions) = schema.get_mut("$defs").and_then(Json::as_object_mut) {
        definitions.insert(
            "Duration".to_owned(),
            json!({
                "description": "A duration such as `30s`, `5m` or `1h30m`; a number counts milliseconds.",
                "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }],
            }),
        );
        if let Some(channel) = channel_schema(definitions) {
            definitions.insert("ChannelConfig".to_owned(), channel);
        }
    }
    rewrite(&mut schema);
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert(
            "preset".to_owned(),
            json!({
                "description": "The preset below the values of this file.",
                "enum": super::Preset::ALL.map(super::Preset::as_str),
            }),
        );
    }
    schema
}

/// The options of a channel stand beside its kind in the file.
fn channel_schema(definitions: &Map<String, Json>) -> Option<Json> {
    let mut schema = definitions.get("ChannelConfig")?.clone();
    let (mut kinds, mut options) = (Vec::new(), Map::new());
    let variants = definitions
        .get("ChannelKind")
        .and_then(|kind| kind.get("oneOf"));
    for variant in variants.and_then(Json::as_array).into_iter().flatten() {
        for (kind, reference) in variant["properties"].as_object().into_iter().flatten() {
            kinds.push(kind.clone());
            let properties = reference
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|name| definitions.get(name.trim_start_matches("#/$defs/")))
                .and_then(|options| options.get("properties"))
                .and_then(Json::as_object);
            for (name, property) in properties.into_iter().flatten() {
                options
                    .entry(name.clone())
                    .or_insert_with(|| property.clone());
            }
        }
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert("kind".to_owned(), json!({ "enum": kinds }));
        properties.extend(options);
    }
    Some(schema)
}

/// Writes defaults as they stand in a file, and adds the keys that read a secret from a file.
fn rewrite(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(rewrite),
        Json::Object(map) => {
            // The defaults are in the text; `serde_json` writes durations in another form.
            map.remove("default");
            if let Some(properties) = map.get_mut("properties").and_then(Json::as_object_mut) {
                let is_secret = |property: &Json| property.to_string().contains("$defs/Secret");
                let secrets: Vec<String> = properties
                    .iter()
                    .filter(|(_, property)| is_secret(property) && property.get("items").is_none())
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in secrets {
                    let text = format!("The path of a file that contains `{name}`.");
                    let property = json!({ "description": text, "type": "string" });
                    properties.insert(format!("{name}_file"), property);
                }
            }
            map.values_mut().for_each(rewrite);
        }
        _ => {}
    }
}

/// Returns a configuration file in which every key is a comment with its description and its default.
pub(super) fn commented_file() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults = to_tree(&Config::default(), &Origin::Default);
    let sample = to_tree(&sample(), &Origin::Default);
    let mut file = File {
        schema: &schema,
        text: HEAD.to_owned(),
    };
    file.map(&sample, Some(&defaults), &schema, 0);
    file.text
}

const HEAD: &str = "\
# The configuration of an observatory. Every key is a comment with its default; a key without `#` replaces the default.
# A duration is `500ms`, `10s` or `5m`. `${VAR}` and `${VAR:-default}` are replaced in values without quotes.
# `KEY_file` reads the value of a secret KEY from a file. Check the file with `llm-observatory check-config`.
# This file is generated from the types: `cargo test --all-features --lib -- the_commented_file`.

# The preset below the values of this file: development, production, vps or enterprise.
#preset: production

";

/// A configuration that has every optional section, and a channel of every kind.
fn sample() -> Config {
    let mut config = Config::default();
    config.traces.tail = Some(super::TailConfig::default());
    #[cfg(feature = "alerting")]
    {
        use crate::alerting::{
            AlertmanagerOptions, ChannelKind, PagerDutyOptions, SlackOptions, WebhookOptions,
        };
        let mut kinds: Vec<(&str, ChannelKind)> = vec![
            ("slack", SlackOptions::default().into()),
            ("pagerduty", PagerDutyOptions::default().into()),
            ("webhook", WebhookOptions::default().into()),
            ("alertmanager", AlertmanagerOptions::default().into()),
        ];
        #[cfg(feature = "email")]
        kinds.push(("email", crate::alerting::EmailOptions::default().into()));
        for (name, kind) in kinds {
            let channel = super::ChannelConfig::new(kind);
            config.alerting.channels.insert(name.to_owned(), channel);
        }
    }
    config
}

struct File<'a> {
    schema: &'a Json,
    text: String,
}

impl<'a> File<'a> {
    /// Writes the entries of a map. Without defaults, the map is optional and its keys are comments.
    fn map(&mut self, node: &Node, defaults: Option<&Node>, schema: &'a Json, depth: usize) {
        let Value::Map(parent, entries) = &node.value else {
            return;
        };
        let schema = self.resolved(schema);
        for (key, child) in entries {
            let default = defaults.and_then(|defaults| defaults.get(key));
            let property = &schema["properties"][key.as_str()];
            let property = if property.is_null() {
                &schema["additionalProperties"]
            } else {
                property
            };
            if let Value::Map(Shape::Variant, kind) = &child.value {
                self.kind(kind, property, depth);
                continue;
            }
            let description = property.get("description").and_then(Json::as_str);
            self.comment(description.unwrap_or_default(), depth);
            match &child.value {
                Value::Map(_, entries) if !entries.is_empty() => {
                    // A key of a free map without a value would remove the entry.
                    let is_section = |node: &&Node| {
                        *parent == Shape::Struct && matches!(node.value, Value::Map(..))
                    };
                    let default = default.filter(is_section);
                    let mark = if default.is_some() { "" } else { "#" };
                    let _ = writeln!(self.text, "{:depth$}{mark}{}:", "", scalar_text(key));
                    self.map(child, default, property, depth + 2);
                }
                value => {
                    let text = match value {
                        // The default of a secret is an address that everybody knows.
                        Value::Secret(text) => scalar_text(text),
                        value => inline(value),
                    };
                    let _ = writeln!(self.text, "{:depth$}#{}: {text}", "", scalar_text(key));
                }
            }
        }
    }

    /// Writes the kind of a channel and its options beside it.
    fn kind(&mut self, kind: &[(String, Node)], schema: &'a Json, depth: usize) {
        let variants = self.resolved(schema).get("oneOf").and_then(Json::as_array);
        for (name, options) in kind {
            let _ = writeln!(self.text, "{:depth$}#kind: {name}", "");
            let found = variants
                .into_iter()
                .flatten()
                .find_map(|variant| variant["properties"].get(name));
            if let Some(found) = found {
                self.map(options, None, found, depth);
            }
        }
    }

    /// Follows references, also of optional values.
    fn resolved(&self, schema: &'a Json) -> &'a Json {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let pointer = reference.trim_start_matches('#');
            return self.schema.pointer(pointer).unwrap_or(schema);
        }
        let any = schema.get("anyOf").and_then(Json::as_array);
        let first = any
            .into_iter()
            .flatten()
            .find(|schema| schema.get("$ref").is_some());
        first.map_or(schema, |first| self.resolved(first))
    }

    /// Writes a description in lines.
    fn comment(&mut self, text: &str, depth: usize) {
        let text = without_links(text);
        let mut line = String::new();
        for word in text.split_whitespace() {
            if depth + 2 + line.len() + 1 + word.len() > WIDTH && !line.is_empty() {
                let _ = writeln!(self.text, "{:depth$}# {line}", "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            let _ = writeln!(self.text, "{:depth$}# {line}", "");
        }
    }
}

/// Replaces `[text](target)` by the text.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let found = link.split_once("](");
        let found = found.and_then(|(text, after)| Some((text, after.split_once(')')?.1)));
        if let Some((text, after)) = found {
            plain.push_str(text);
            rest = after;
        } else {
            plain.push('[');
            rest = link;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/observatory.yaml");

    /// Set `UPDATE_DEPLOY=1` to write the file.
    #[test]
    fn the_commented_file_is_current() {
        let text = commented_file();
        if std::env::var_os("UPDATE_DEPLOY").is_some() {
            std::fs::write(FILE, &text).unwrap();
        }
        let found = std::fs::read_to_string(FILE).unwrap();
        let found = found.as_str();
        assert!(
            found == text,
            "deploy/observatory.yaml is not current: run this test with UPDATE_DEPLOY=1"
        );
    }

    #[cfg(feature = "config-file")]
    #[test]
    fn the_commented_file_loads_with_and_without_its_comments() {
        use crate::config::{compose::compose, file::FileText};

        let load = |text: String| {
            let variables = std::collections::BTreeMap::<&str, &str>::new();
            let file = FileText {
                path: std::sync::Arc::default(),
                text,
            };
            compose(&variables, Some(file)).into_result().unwrap()
        };
        let text = commented_file();
        assert_eq!(load(text.clone()), load(String::new()));
        let keys: String = text
            .lines()
            .filter(|line| !line.starts_with("#preset"))
            .map(|line| {
                let is_text = line.trim_start().starts_with("# ");
                if is_text {
                    format!("{line}\n")
                } else {
                    line.replacen('#', "", 1) + "\n"
                }
            })
            .collect();
        let mut expected = sample();
        expected.traces.enabled = load(keys.clone()).traces.enabled;
        assert_eq!(load(keys), expected);
    }

    #[test]
    fn the_schema_has_every_key_of_the_file_and_no_form_of_rust() {
        let schema = json_schema();
        for key in ["preset", "tick", "prometheus", "traces"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        let text = schema.to_string();
        assert!(!text.contains("nanos"), "durations are texts");
        if cfg!(feature = "alerting") {
            let channel = &schema["$defs"]["ChannelConfig"]["properties"];
            assert!(channel["url_file"].is_object() && channel["kind"]["enum"][0].is_string());
        }
    }
}
