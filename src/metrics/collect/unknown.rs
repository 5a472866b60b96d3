//! Finds the metrics that an expression names and that do not exist, and the names that they may misspell.

use std::collections::BTreeSet;

use super::Queries;
use crate::{
    metrics::catalog::{CATALOG, Metric, MetricKind},
    query::{
        MatchOp, Matcher,
        engine::syntax::{Expr, ExprKind},
    },
};

/// The prefixes of the default configuration and of the presets.
const PREFIXES: [&str; 4] = [
    "llm_router_dev_",
    "llm_router_vps_",
    "llm_router_enterprise_",
    "llm_router_",
];
/// The suffixes of the series of a histogram.
const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];
/// The series of alerts, which exist while alerts do.
const OF_ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];
/// The maximum edit distance between an unknown name and the name that it is taken to misspell.
const MAX_EDIT_DISTANCE: usize = 2;
/// The minimum length of a name that is taken to be a misspelling.
const MIN_LENGTH: usize = 8;

/// A metric that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownMetric {
    pub(crate) name: String,
    /// The most similar name of the catalog.
    pub(crate) nearest: Option<String>,
}

impl Queries {
    /// Returns the metrics that an expression names and that are neither in the catalog, nor registered, nor stored.
    /// Metrics in `absent()` are exempt: the expression expects that they may not exist.
    pub(crate) fn unknown_metrics(&self, expr: &Expr) -> Vec<UnknownMetric> {
        let mut names = BTreeSet::new();
        collect_names(expr, &mut names);
        let prefix = self.gatherer.registry.prefix();
        let unknown = names.into_iter().filter(|name| !self.is_known(name));
        unknown
            .map(|name| UnknownMetric {
                name: name.to_owned(),
                nearest: nearest(name, prefix),
            })
            .collect()
    }

    fn is_known(&self, name: &str) -> bool {
        let registry = &self.gatherer.registry;
        let of_histogram = HISTOGRAM_SUFFIXES
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        OF_ALERTS.contains(&name)
            || registry.family(name).is_some()
            || of_histogram.is_some_and(|base| registry.family(base).is_some())
            || catalog_names(registry.prefix()).any(|known| known == name)
            || self
                .store
                .label_values("__name__")
                .iter()
                .any(|known| known == name)
    }
}

impl UnknownMetric {
    /// Returns the message about the metric, with the most similar name.
    pub(crate) fn message(&self, prefix: &str) -> String {
        let name = &self.name;
        match &self.nearest {
            Some(nearest) => format!(
                "no metric has the name `{name}`: did you mean `{nearest}`? the prefix is `{prefix}` (prometheus.prefix)"
            ),
            None => format!("no metric has the name `{name}`: no series of it has been recorded"),
        }
    }
}

/// Adds the names that selectors compare with `=`.
fn collect_names<'e>(expr: &'e Expr, names: &mut BTreeSet<&'e str>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Selector(selector) | ExprKind::Range(selector, _) => {
            let is_name =
                |matcher: &&Matcher| matcher.name() == "__name__" && matcher.op() == MatchOp::Equal;
            names.extend(selector.matchers.iter().filter(is_name).map(Matcher::value));
        }
        ExprKind::Subquery(subquery) => collect_names(&subquery.expr, names),
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => collect_names(inner, names),
        ExprKind::Call(function, _) if function.name.starts_with("absent") => {}
        ExprKind::Call(_, args) => args.iter().for_each(|arg| collect_names(arg, names)),
        ExprKind::Aggregate(aggregation) => {
            if let Some(param) = &aggregation.param {
                collect_names(param, names);
            }
            collect_names(&aggregation.expr, names);
        }
        ExprKind::Binary(binary) => {
            collect_names(&binary.left, names);
            collect_names(&binary.right, names);
        }
    }
}

/// Returns the names of the series of a metric.
fn series_names(metric: &Metric, prefix: &str) -> impl Iterator<Item = String> + use<> {
    let name = metric.full_name(prefix);
    let suffixes: &[&str] = if metric.kind == MetricKind::Histogram {
        &HISTOGRAM_SUFFIXES
    } else {
        &[""]
    };
    suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
}

fn catalog_names(prefix: &str) -> impl Iterator<Item = String> {
    CATALOG
        .iter()
        .flat_map(move |metric| series_names(metric, prefix))
}

/// Returns the name of the catalog that differs from `name` in the prefix only, or else in few characters.
fn nearest(name: &str, prefix: &str) -> Option<String> {
    // One prefix may begin with another, so that each is tried.
    let without_prefix = PREFIXES.iter().filter_map(|known| name.strip_prefix(known));
    let renamed = without_prefix
        .chain([name])
        .map(|base| format!("{prefix}{base}"));
    let candidates: Vec<String> = renamed.chain([name.to_owned()]).collect();
    let distance = |known: &String| {
        let distances = candidates
            .iter()
            .map(|name| strsim::levenshtein(known, name));
        distances.min().unwrap_or(usize::MAX)
    };
    let nearest = catalog_names(prefix).min_by_key(distance)?;
    let is_near = distance(&nearest) <= MAX_EDIT_DISTANCE && name.len() >= MIN_LENGTH;
    is_near.then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::engine::{Engine, EngineOptions};

    #[test]
    fn a_name_with_another_prefix_or_a_typo_is_near_a_name_of_the_catalog() {
        for (name, expected) in [
            (
                "llm_router_http_requests_total",
                Some("mine_http_requests_total"),
            ),
            (
                "llm_router_dev_http_requests_total",
                Some("mine_http_requests_total"),
            ),
            ("http_requests_total", Some("mine_http_requests_total")),
            ("mine_http_request_total", Some("mine_http_requests_total")),
            (
                "llm_router_tokens_per_second_bucket",
                Some("mine_tokens_per_second_bucket"),
            ),
            ("proces_open_fds", Some("process_open_fds")),
            ("rows_imported_total", None),
            ("up", None),
        ] {
            assert_eq!(nearest(name, "mine_").as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn names_in_absent_are_exempt() {
        let engine = Engine::new(EngineOptions::default());
        let names = |query: &str| {
            let prepared = engine.prepare(query).unwrap();
            let mut names = BTreeSet::new();
            collect_names(prepared.expr(), &mut names);
            names.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            names("sum(rate(a[5m])) / b > 1 and on () c offset 1m"),
            ["a", "b", "c"]
        );
        assert_eq!(names("absent(a) or absent_over_time(b[1h]) or c"), ["c"]);
        assert_eq!(
            names(r#"{__name__=~"a.*"} or topk(scalar(d), -(e))"#),
            ["d", "e"]
        );
    }
}
