//! Generates dashboards for Grafana from the panels.
//!
//! The dashboards need a Prometheus data source: a Prometheus that scrapes the service, or the service itself.

use serde_json::{Value, json};

use super::{Draw, Panel, Query, Unit, View, all, fill};

/// The version of Grafana's dashboard schema that the panels follow.
const SCHEMA_VERSION: u32 = 41;
/// The columns of Grafana's grid, which has twice as many as the page.
const COLUMNS: u64 = 24;
/// The data source that the importer of the dashboard selects.
const SOURCE: &str = "${datasource}";

/// Returns the dashboard of a view.
pub(in crate::server::dashboard) fn dashboard(view: View, prefix: &str, service: &str) -> Value {
    let (mut x, mut y, mut row_height) = (0, 0, 0);
    let mut panels = Vec::new();
    for (at, panel) in all().filter(|panel| panel.view == view).enumerate() {
        let width = u64::from(panel.width) * 2;
        let height = if panel.draw == Draw::Tile { 4 } else { 8 };
        if x + width > COLUMNS {
            (x, y, row_height) = (0, y + row_height, 0);
        }
        let mut drawn = draw(panel, prefix);
        drawn["id"] = json!(at + 1);
        drawn["gridPos"] = json!({ "x": x, "y": y, "w": width, "h": height });
        panels.push(drawn);
        x += width;
        row_height = row_height.max(height);
    }
    let mut variables = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
    })];
    if view == View::Models {
        variables.push(json!({
            "name": "model", "label": "Model", "type": "query", "datasource": source(),
            "query": format!("label_values({prefix}model_inference_total, model_id)"),
            "multi": true, "includeAll": true, "allValue": ".*", "refresh": 2,
        }));
    }
    json!({
        "uid": format!("llm-observatory-{}", view.name()),
        "title": format!("{service}: {}", view.name()),
        "tags": ["llm-observatory"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": variables },
        "panels": panels,
    })
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": SOURCE })
}

fn draw(panel: &Panel, prefix: &str) -> Value {
    let kind = match panel.draw {
        Draw::Tile => "stat",
        Draw::Lines | Draw::Stack => "timeseries",
        Draw::Heatmap => "heatmap",
        Draw::Table => "table",
    };
    let is_table = panel.draw == Draw::Table;
    let targets = panel.queries.iter().enumerate().map(|(at, query)| {
        json!({
            "refId": reference(at),
            "datasource": source(),
            "expr": fill(query.expr, prefix, "$__rate_interval", "model_id=~\"$model\""),
            "legendFormat": query.legend,
            "instant": is_table,
            "range": !is_table,
            "format": match panel.draw {
                Draw::Table => "table",
                Draw::Heatmap => "heatmap",
                Draw::Tile | Draw::Lines | Draw::Stack => "time_series",
            },
        })
    });
    let mut drawn = json!({
        "type": kind,
        "title": panel.title,
        "description": panel.question,
        "datasource": source(),
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": { "defaults": defaults(panel), "overrides": [] },
    });
    if is_table {
        drawn["transformations"] = json!([{ "id": "merge", "options": {} }]);
        drawn["fieldConfig"]["overrides"] = columns(panel.queries);
    }
    drawn
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults = json!({ "unit": unit(panel.unit), "min": 0 });
    if panel.draw == Draw::Stack {
        defaults["custom"] = json!({ "fillOpacity": 40, "stacking": { "mode": "normal" } });
    }
    if !panel.thresholds.is_empty() {
        let first = json!({ "color": "green", "value": null });
        let steps = panel.thresholds.iter();
        let steps = steps.map(|threshold| json!({ "color": "red", "value": threshold.value }));
        let steps: Vec<Value> = std::iter::once(first).chain(steps).collect();
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
    }
    defaults
}

/// Names each column of a table, and gives it its unit.
fn columns(queries: &[Query]) -> Value {
    let columns = queries.iter().enumerate().map(|(at, query)| {
        let properties = json!([
            { "id": "displayName", "value": query.legend },
            { "id": "unit", "value": query.unit.map_or("short", unit) },
        ]);
        json!({
            "matcher": { "id": "byName", "options": format!("Value #{}", reference(at)) },
            "properties": properties,
        })
    });
    json!(columns.collect::<Vec<_>>())
}

/// Returns the letter of a query: `A`, `B`, …
fn reference(at: usize) -> char {
    (b'A'..=b'Z').nth(at).map_or('Z', char::from)
}

/// Returns Grafana's name of a unit.
const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "reqps",
        Unit::TokensPerSecond => "cps",
        Unit::Seconds => "s",
        Unit::Ratio => "percentunit",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "Bps",
        Unit::Cores => "none",
    }
}
