use std::{collections::BTreeSet, fmt::Write as _};

use super::*;
use crate::{
    metrics::catalog::{CATALOG, MetricKind},
    query::engine::syntax::{Expr, ExprKind, ParseLimits, parse},
};

const PREFIX: &str = "llm_router_";

fn parsed(query: &Query) -> Expr {
    let text = fill(query.expr, PREFIX, "1m", "model_id=\"a\"");
    assert!(!text.contains('$'), "{text}");
    parse(&text, &ParseLimits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_query_parses_with_and_without_a_selection() {
    for panel in all() {
        assert!(!panel.queries.is_empty(), "{}", panel.id);
        for query in panel.queries {
            parsed(query);
            for (offset, selection) in [(" offset 1h", ""), ("", "model_id=\"a\",engine=\"b\"")] {
                let text = query.expr.replace("$O", offset);
                let text = fill(&text, PREFIX, "30s", selection);
                parse(&text, &ParseLimits::default()).unwrap();
            }
        }
    }
}

#[test]
fn every_metric_of_a_query_is_in_the_catalog() {
    let mut known = BTreeSet::new();
    for metric in CATALOG {
        let name = metric.full_name(PREFIX);
        if metric.kind == MetricKind::Histogram {
            known.insert(format!("{name}_bucket"));
        }
        known.insert(name);
    }
    for query in all().flat_map(|panel| panel.queries) {
        let text = parsed(query).to_string();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_metric = |word: &&str| {
            let prefixes = [PREFIX, "observatory_", "system_", "process_", "tokio_"];
            prefixes.iter().any(|prefix| word.starts_with(prefix))
        };
        let mut metrics = words.filter(is_metric).peekable();
        assert!(metrics.peek().is_some(), "{text}");
        for metric in metrics {
            assert!(known.contains(metric), "{metric} in {text}");
        }
    }
}

#[test]
fn ids_are_unique_and_panels_fit_the_page() {
    let mut ids = BTreeSet::new();
    for panel in all() {
        assert!(ids.insert(panel.id), "{} twice", panel.id);
        assert!((2..=12).contains(&panel.width), "{}", panel.id);
        assert!(panel.question.ends_with('?'), "{}", panel.id);
        assert_eq!(
            panel.draw == Draw::Table,
            panel.queries.iter().all(|query| query.unit.is_some()),
            "{}",
            panel.id
        );
    }
}

/// A query without an aggregation would draw a line for each series of a metric with many.
#[test]
fn histograms_and_counters_are_aggregated() {
    for panel in all().filter(|panel| panel.view != View::System) {
        for query in panel.queries {
            if query.expr.contains("$P") {
                assert!(query.expr.contains("sum"), "{}", query.expr);
            }
        }
    }
    let expr = parsed(&Query {
        legend: "",
        expr: "up",
        unit: None,
    });
    assert!(matches!(expr.kind, ExprKind::Selector(_)));
}

#[test]
fn a_dashboard_for_grafana_has_every_panel_once_within_the_grid() {
    for view in View::ALL {
        let dashboard = grafana_dashboard(view, PREFIX, "router");
        let panels = dashboard["panels"].as_array().unwrap();
        assert_eq!(
            panels.len(),
            all().filter(|panel| panel.view == view).count()
        );
        let mut places = BTreeSet::new();
        for panel in panels {
            let place = &panel["gridPos"];
            let [x, y, w] = ["x", "y", "w"].map(|key| place[key].as_u64().unwrap());
            assert!(x + w <= 24, "{panel}");
            assert!(places.insert((x, y)), "{panel}");
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                let expr = expr
                    .replace("$__rate_interval", "1m")
                    .replace("$model", ".*");
                parse(&expr, &ParseLimits::default()).unwrap();
            }
        }
    }
}

/// The table of panels in docs/dashboard.md.
fn documentation() -> String {
    let mut text = String::new();
    for view in View::ALL {
        let name = view.name();
        write!(
            text,
            "\n### {name}\n\n| Panel | Question | PromQL |\n|---|---|---|\n"
        )
        .unwrap();
        for panel in all().filter(|panel| panel.view == view) {
            let queries = panel.queries.iter().map(|query| {
                let expr = query.expr.replace("$O", "").replace('|', "\\|");
                let legend = query.legend.replace("{{", "`{{").replace("}}", "}}`");
                format!("{legend}: `{expr}`")
            });
            let queries: Vec<_> = queries.collect();
            let (title, question) = (panel.title, panel.question);
            writeln!(text, "| {title} | {question} | {} |", queries.join("<br>")).unwrap();
        }
    }
    text
}

/// `UPDATE_DOCS=1 cargo test` writes the table.
#[test]
fn the_documentation_lists_every_panel() {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dashboard.md");
    const MARK: &str =
        "<!-- The tables below are generated from src/server/dashboard/panels. -->\n";
    let document = std::fs::read_to_string(PATH).unwrap();
    let (before, tables) = document.split_once(MARK).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, format!("{before}{MARK}{}", documentation())).unwrap();
    } else {
        assert_eq!(tables, documentation(), "run the test with UPDATE_DOCS=1");
    }
}
