//! Keys of the JavaScript system and short forms of the file, rewritten to the keys of the options, and back for print.

use crate::config::tree::{Node, Shape, Value, snake_case};

/// The keys of the JavaScript system, in `snake_case`, and the keys of the options. `*` stands for any step.
const RENAMED: &[(&str, &str)] = &[
    ("opentelemetry.service_name", "service.name"),
    ("opentelemetry.service_version", "service.version"),
    ("opentelemetry.environment", "service.environment"),
    ("opentelemetry.resource", "service.attributes"),
    ("opentelemetry.tracing", "traces"),
    ("alerting.routes", "alerting.routing"),
    ("alerting.storage.max_history", "alerting.max_history"),
];

/// The switches in `components`, and the options that they set.
const COMPONENTS: &[(&str, &str)] = &[
    ("opentelemetry", "traces.enabled"),
    ("traces", "traces.enabled"),
    ("prometheus", "prometheus.enabled"),
    ("server", "prometheus.enabled"),
    ("health", "health.enabled"),
    ("alerting", "alerting.enabled"),
    ("profiler", "profiler.enabled"),
];

/// The options of a channel that are not options of its kind.
const CHANNEL_KEYS: [&str; 3] = ["enabled", "send_resolved", "fallback"];
/// The options of channels in the JavaScript system, and the options here.
const CHANNEL_RENAMED: [(&str, &str); 3] = [
    ("webhook_url", "url"),
    ("webhook_url_file", "url_file"),
    ("integration_key", "routing_key"),
];

/// Rewrites the tree of a file to the keys of the options. `known` has the sections of this build.
pub(in super::super) fn rewrite(root: &mut Node, known: &Node) {
    known_case(root, 2);
    components(root, known);
    for (from, to) in RENAMED {
        if let Some(node) = remove(root, from) {
            put(root, to, node, from);
        }
    }
    for area in ["opentelemetry", "alerting"] {
        drop_empty(root, area);
    }
    if let Some(traces) = root.get_mut("traces") {
        known_case(traces, 1);
        sampling(traces);
    }
    if let Some(prometheus) = root.get_mut("prometheus") {
        port(prometheus);
    }
    if let Some(alerting) = root.get_mut("alerting") {
        storage(alerting);
        if let Some(channels) = alerting.get_mut("channels")
            && let Value::Map(_, entries) = &mut channels.value
        {
            for (name, channel) in entries {
                flat_channel(name, channel);
            }
        }
    }
}

/// Converts the tree of the options to the form in which it is written in a file.
pub(in super::super) fn printed(root: &mut Node) {
    let channels = root
        .get_mut("alerting")
        .and_then(|alerting| alerting.get_mut("channels"));
    let Some(Value::Map(_, entries)) = channels.map(|channels| &mut channels.value) else {
        return;
    };
    for (_, channel) in entries {
        let Some(Node {
            value: Value::Map(_, kind),
            origin,
            ..
        }) = channel.take("kind")
        else {
            continue;
        };
        for (name, options) in kind {
            let Value::Map(_, options) = options.value else {
                continue;
            };
            if let Value::Map(_, entries) = &mut channel.value {
                entries.insert(
                    0,
                    (
                        "kind".to_owned(),
                        Node::new(Value::Text(name), origin.clone()),
                    ),
                );
                entries.extend(options);
            }
        }
    }
}

/// Applies the switches in `components`. A switch and `enabled` of the section must both be on. A switch that is off needs
/// no section in this build.
fn components(root: &mut Node, known: &Node) {
    for (component, option) in COMPONENTS {
        let path = format!("components.{component}");
        let Some(node) = remove(root, &path) else {
            continue;
        };
        let (section, _) = option.split_once('.').unwrap_or((option, ""));
        let is_off = matches!(node.value, Value::Bool(false));
        let is_unknown = known.get(section).is_none();
        let enabled = root.get(section).and_then(|section| section.get("enabled"));
        if is_off && is_unknown || !is_off && enabled.is_some() {
            continue;
        }
        remove(root, option);
        put(root, option, node, &path);
    }
    drop_empty(root, "components");
}

/// Writes the upper keys in `snake_case`, down to a depth.
fn known_case(node: &mut Node, depth: usize) {
    let Value::Map(_, entries) = &mut node.value else {
        return;
    };
    for (key, node) in entries {
        let snake = snake_case(key);
        if snake != *key {
            node.written = Some(key.as_str().into());
            *key = snake;
        }
        if depth > 1 {
            known_case(node, depth - 1);
        }
    }
}

fn remove(root: &mut Node, path: &str) -> Option<Node> {
    match path.split_once('.') {
        None => root.take(path),
        Some((first, rest)) => remove(root.get_mut(first)?, rest),
    }
}

fn put(root: &mut Node, path: &str, mut node: Node, written: &str) {
    match path.split_once('.') {
        None => {
            node.written = Some(written.into());
            match root.get_mut(path) {
                Some(old) => old.merge(node),
                None => root.insert(path, node),
            }
        }
        Some((first, rest)) => {
            if root.get(first).is_none() {
                let parent = Node::new(Value::Map(Shape::Free, Vec::new()), node.origin.clone());
                root.insert(first, parent);
            }
            if let Some(parent) = root.get_mut(first) {
                put(parent, rest, node, written);
            }
        }
    }
}

/// Removes a section whose keys were all moved.
fn drop_empty(root: &mut Node, key: &str) {
    let is_empty =
        |node: &Node| matches!(&node.value, Value::Map(_, entries) if entries.is_empty());
    if root.get(key).is_some_and(is_empty) {
        root.take(key);
    }
}

/// `sampling: 0.1` is `sampling: {ratio: 0.1}`.
fn sampling(traces: &mut Node) {
    if let Some(sampling) = traces.get_mut("sampling")
        && let Value::Integer(_) | Value::Float(_) = sampling.value
    {
        let ratio = sampling.clone();
        sampling.value = Value::Map(Shape::Free, vec![("ratio".to_owned(), ratio)]);
    }
}

/// `port: 9090` is `listen: 127.0.0.1:9090`.
fn port(prometheus: &mut Node) {
    let is_port = |node: &Node| matches!(node.value, Value::Integer(0..=65_535));
    if prometheus.get("port").is_some_and(is_port)
        && let Some(mut node) = prometheus.take("port")
        && let Value::Integer(port) = node.value
    {
        node.value = Value::Text(format!("127.0.0.1:{port}"));
        node.written = Some("port".into());
        prometheus.insert("listen", node);
    }
}

/// `storage.file_path` names a file; the state of alerts is in the directory of that file.
fn storage(alerting: &mut Node) {
    let Some(mut storage) = alerting.take("storage") else {
        return;
    };
    known_case(&mut storage, 1);
    if let Some(mut node) = storage.take("file_path") {
        if let Value::Text(text) = &mut node.value
            && let Some((directory, file)) = text.rsplit_once('/')
            && file.contains('.')
        {
            *text = directory.to_owned();
        }
        node.written = Some("storage.file_path".into());
        alerting.insert("data_dir", node);
    }
    let is_off = |node: &Node| matches!(node.value, Value::Bool(false));
    if let Some(mut node) = storage.take("enabled")
        && is_off(&node)
    {
        node.value = Value::Null;
        node.written = Some("storage.enabled".into());
        alerting.insert("data_dir", node);
    }
    if !matches!(&storage.value, Value::Map(_, entries) if entries.is_empty()) {
        alerting.insert("storage", storage);
    }
}

/// Rewrites `{kind: slack, enabled: true, url: …}` to `{kind: {slack: {url: …}}, enabled: true}`. A channel without a kind
/// has the kind of its name.
fn flat_channel(name: &str, channel: &mut Node) {
    let Value::Map(_, entries) = &mut channel.value else {
        return;
    };
    let mut kind = name.to_owned();
    let mut origin = channel.origin.clone();
    let (mut outer, mut options) = (Vec::new(), Vec::new());
    for (key, mut node) in std::mem::take(entries) {
        let mut snake = snake_case(&key);
        if let Some((_, to)) = CHANNEL_RENAMED.iter().find(|(from, _)| *from == snake) {
            (*to).clone_into(&mut snake);
        }
        if snake != key {
            node.written = Some(key.as_str().into());
        }
        match (&node.value, snake.as_str()) {
            (Value::Text(text), "kind" | "type") => {
                kind.clone_from(text);
                origin = node.origin;
            }
            (_, key) if CHANNEL_KEYS.contains(&key) => outer.push((snake, node)),
            _ => options.push((snake, node)),
        }
    }
    let options = Node::new(Value::Map(Shape::Free, options), channel.origin.clone());
    let kind = Value::Map(Shape::Variant, vec![(kind.to_ascii_lowercase(), options)]);
    outer.push(("kind".to_owned(), Node::new(kind, origin)));
    *entries = outer;
}
