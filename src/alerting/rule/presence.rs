//! Determines the series that an expression reads, and the age of the oldest sample that it needs.

use crate::query::Matcher;
use crate::query::engine::syntax::{Expr, ExprKind, Selector, format_duration};
use crate::query::engine::{Engine, Prepared};

/// Calls `each` with every selector and the milliseconds into the past that it reads, including enclosing subqueries.
fn selectors(expr: &Expr, back: i64, each: &mut dyn FnMut(&Selector, i64)) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => each(selector, back.saturating_add(selector.shift.offset)),
        ExprKind::Range(selector, range) => {
            let back = back.saturating_add(selector.shift.offset);
            each(selector, back.saturating_add(*range));
        }
        ExprKind::Subquery(subquery) => {
            let back = back.saturating_add(subquery.shift.offset);
            selectors(&subquery.expr, back.saturating_add(subquery.range), each);
        }
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => selectors(inner, back, each),
        ExprKind::Call(_, args) => args.iter().for_each(|arg| selectors(arg, back, each)),
        ExprKind::Aggregate(aggregation) => {
            if let Some(param) = &aggregation.param {
                selectors(param, back, each);
            }
            selectors(&aggregation.expr, back, each);
        }
        ExprKind::Binary(binary) => {
            selectors(&binary.left, back, each);
            selectors(&binary.right, back, each);
        }
    }
}

/// Returns the milliseconds into the past that an expression reads.
pub(super) fn look_back(expr: &Expr) -> i64 {
    let mut longest = 0;
    selectors(expr, 0, &mut |_, back| longest = longest.max(back));
    longest
}

/// Returns the matchers of each metric that an expression names: the matchers of the name, or all matchers of a selector
/// without a name.
pub(super) fn metrics(expr: &Expr) -> Vec<Vec<Matcher>> {
    let mut metrics = Vec::new();
    selectors(expr, 0, &mut |selector, _| {
        let all = selector.matchers.iter();
        let mut metric: Vec<Matcher> = all
            .clone()
            .filter(|m| m.name() == "__name__")
            .cloned()
            .collect();
        if metric.is_empty() {
            metric = all.cloned().collect();
        }
        metrics.push(metric);
    });
    metrics
}

/// Returns one query per selector; a query has a result while a series of its selector has a sample.
///
/// The expression itself does not distinguish missing data: `up == 0` has no result if every target is up, and no
/// result if no target is scraped.
pub(super) fn presence_queries(engine: &Engine, expr: &Expr) -> Vec<Prepared> {
    let mut queries = Vec::new();
    selectors(expr, 0, &mut |selector, back| {
        let text = if back > 0 {
            format!("present_over_time({selector}[{}])", format_duration(back))
        } else {
            selector.to_string()
        };
        // The text of a parsed selector parses again, unless it exceeds the maximum length; the other queries suffice
        // then.
        queries.extend(engine.prepare(&text));
    });
    queries
}
