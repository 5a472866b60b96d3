//! Lists the open spans as a tree: age, enters, and whether a thread has entered the span or for how long the span is idle.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Watchdog;
use crate::{
    layer::{SpanView, TaskReading, ThreadReading, Watch},
    runtime::coarse_clock,
};

/// Max levels of the tree; deeper spans are listed at the deepest level.
const MAX_DEPTH: usize = 64;

impl Watchdog {
    /// Returns the open spans as JSON, the oldest `limit` of them, as `/api/observatory/tasks` answers.
    #[must_use]
    pub fn tasks_json(&self, limit: usize) -> String {
        tasks(self, limit).to_string()
    }
}

fn tasks(watchdog: &Watchdog, limit: usize) -> Value {
    let Some((watch, spans)) = watchdog.tables() else {
        return json!({ "isEnabled": false, "disabledBy": "health.watchdog.enabled", "tasks": [] });
    };
    let now_ms = coarse_clock::now_ms();
    let (mut readings, without_place) = watch.tasks();
    readings.sort_by_key(|task| task.opened_ms);
    let over_limit = readings.len().saturating_sub(limit);
    readings.truncate(limit);
    let mut entered = HashMap::new();
    for thread in watch.threads() {
        let frames = Watch::entered(&thread);
        entered.extend(frames.into_iter().map(|span| (span, thread)));
    }
    let mut nodes = Vec::new();
    for reading in readings {
        // A span without a view has closed meanwhile.
        if let Some(span) = spans.span(reading.id) {
            let place = entered.get(&reading.id);
            nodes.push(Node {
                id: reading.id,
                parent: span.parent,
                object: object(&span, &reading, place, now_ms),
            });
        }
    }
    json!({
        "isEnabled": true,
        "limit": limit,
        "shown": nodes.len(),
        "leftOut": over_limit + without_place,
        "tasks": tree(nodes),
    })
}

/// A span with its place in the tree.
struct Node {
    id: u64,
    parent: Option<u64>,
    object: Map<String, Value>,
}

fn object(
    span: &SpanView,
    task: &TaskReading,
    entered: Option<&ThreadReading>,
    now_ms: u64,
) -> Map<String, Value> {
    let seconds_since = |then: u64| now_ms.saturating_sub(then) as f64 / 1e3;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("name", json!(span.name));
    put("target", json!(span.target));
    let fields = span.fields.iter();
    let fields: Map<_, _> = fields
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    put("fields", Value::Object(fields));
    put("ageSeconds", json!(seconds_since(task.opened_ms)));
    let enters = task.exits.map(|exits| exits + u64::from(entered.is_some()));
    put("enters", json!(enters));
    match entered {
        Some(thread) => {
            let seconds = seconds_since(thread.moved_ms);
            let place = match thread.worker {
                Some(worker) => format!("worker {worker}"),
                None => format!("thread {}", Watch::thread_name(thread)),
            };
            put("state", json!("entered"));
            put("worker", json!(thread.worker));
            put("thread", json!(Watch::thread_name(thread)));
            put("seconds", json!(seconds));
            put(
                "text",
                json!(format!("entered on {place} for {seconds:.1} s")),
            );
        }
        None if task.exits == Some(0) => {
            put("state", json!("new"));
            put("seconds", json!(seconds_since(task.opened_ms)));
            put("text", json!("never entered"));
        }
        None => {
            let seconds = seconds_since(task.exited_ms);
            put("state", json!("idle"));
            put("seconds", json!(seconds));
            put("text", json!(format!("idle for {seconds:.1} s")));
        }
    }
    object
}

/// Nests each span in its parent, if the parent is listed.
fn tree(nodes: Vec<Node>) -> Vec<Value> {
    let positions: HashMap<u64, usize> = nodes
        .iter()
        .enumerate()
        .map(|(position, node)| (node.id, position))
        .collect();
    // A parent is older than its children, but the coarse clock can show the same time for both.
    let parent_of = |node: &Node| {
        node.parent
            .and_then(|parent| positions.get(&parent))
            .copied()
    };
    let parents: Vec<Option<usize>> = nodes.iter().map(parent_of).collect();
    let depth_of = |position: usize| {
        let mut depth = 0;
        let mut next = parents.get(position).copied().flatten();
        while let Some(parent) = next
            && depth <= nodes.len()
        {
            depth += 1;
            next = parents.get(parent).copied().flatten();
        }
        depth
    };
    let depths: Vec<usize> = (0..nodes.len()).map(depth_of).collect();
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|position| std::cmp::Reverse(depths[*position]));
    let mut objects: Vec<Option<Map<String, Value>>> =
        nodes.into_iter().map(|node| Some(node.object)).collect();
    let mut children: Vec<Vec<(usize, Value)>> = vec![Vec::new(); objects.len()];
    let mut roots = Vec::new();
    // The deepest first, so that a span is complete before its parent takes it.
    for position in order {
        let Some(mut object) = objects[position].take() else {
            continue;
        };
        let mut own = std::mem::take(&mut children[position]);
        own.sort_by_key(|(position, _)| *position);
        let is_deepest = depths[position] + 1 > MAX_DEPTH;
        let nested: Vec<Value> = if is_deepest {
            Vec::new()
        } else {
            own.drain(..).map(|(_, value)| value).collect()
        };
        object.insert("children".to_owned(), Value::Array(nested));
        let target = match parents[position] {
            Some(parent) => &mut children[parent],
            None => &mut roots,
        };
        target.push((position, Value::Object(object)));
        // Beyond the last level, the descendants become siblings.
        target.append(&mut own);
    }
    roots.sort_by_key(|(position, _)| *position);
    roots.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, parent: Option<u64>) -> Node {
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(id));
        Node { id, parent, object }
    }

    #[test]
    fn spans_are_nested_in_their_parents_in_the_order_of_their_age() {
        let nodes = vec![
            node(1, None),
            node(2, Some(1)),
            node(3, Some(99)),
            node(4, Some(2)),
            node(5, Some(1)),
        ];
        let leaf = |id: u64| json!({ "id": id, "children": [] });
        let expected = json!([
            { "id": 1, "children": [{ "id": 2, "children": [leaf(4)] }, leaf(5)] },
            leaf(3),
        ]);
        assert_eq!(Value::Array(tree(nodes)), expected);
    }

    #[test]
    fn a_very_deep_tree_is_cut_and_loses_no_span() {
        fn count(tasks: &[Value], depth: usize) -> (usize, usize) {
            tasks.iter().fold((0, depth), |(spans, deepest), task| {
                let (below, depth) = count(task["children"].as_array().unwrap(), depth + 1);
                (spans + 1 + below, deepest.max(depth))
            })
        }
        let nodes = (1..=1_000).map(|id| node(id, (id > 1).then(|| id - 1)));
        let (spans, depth) = count(&tree(nodes.collect()), 0);
        assert_eq!(spans, 1_000);
        assert!(depth <= MAX_DEPTH + 1, "{depth}");
    }
}
