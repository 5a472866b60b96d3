//! Collects the warnings and infos of a query, in Prometheus's words.

use std::collections::BTreeMap;

use super::number::format_literal;
use super::syntax::{Span, line_and_column};

/// The maximum number of messages of each kind in a response, as in Prometheus's API, which then counts the others.
const MAX_SHOWN: usize = 10;
/// The maximum number of kept messages: messages name metrics, of which there may be many.
const MAX_KEPT: usize = 1000;

/// The warnings and infos of a run.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    warnings: Messages,
    infos: Messages,
    /// The values of the parameters of aggregations, by the position of the parameter.
    quantiles: BTreeMap<u32, Extremes>,
}

/// Each message once, with its last position, as in Prometheus.
type Messages = BTreeMap<String, Span>;

/// The extreme values of a parameter over the steps of a range.
#[derive(Clone, Copy, Debug)]
struct Extremes {
    span: Span,
    lowest: f64,
    highest: f64,
    has_nan: bool,
}

impl Annotations {
    pub(super) fn warn(&mut self, message: &str, span: Span) {
        insert(
            &mut self.warnings,
            format!("PromQL warning: {message}"),
            span,
        );
    }

    pub(super) fn inform(&mut self, message: &str, span: Span) {
        insert(&mut self.infos, format!("PromQL info: {message}"), span);
    }

    /// Warns of a quantile outside 0 to 1.
    pub(super) fn check_quantile(&mut self, q: f64, span: Span) {
        if !(0.0..=1.0).contains(&q) {
            let q = format_literal(q);
            let message = format!("quantile value should be between 0 and 1, got {q}");
            self.warn(&message, span);
        }
    }

    /// Records the quantile of an aggregation like [`check_quantile`](Self::check_quantile). Prometheus names only the lowest
    /// and the highest value of a range.
    pub(super) fn check_quantile_of_aggregation(&mut self, q: f64, span: Span) {
        let seen = self.quantiles.entry(span.start).or_insert(Extremes {
            span,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            has_nan: false,
        });
        seen.lowest = seen.lowest.min(q);
        seen.highest = seen.highest.max(q);
        seen.has_nan |= q.is_nan();
    }

    /// Returns warnings and infos with their positions in the query.
    pub(super) fn into_lists(mut self, query: &str) -> (Vec<String>, Vec<String>) {
        // The positions of nested expressions come after the positions of enclosing expressions, and their messages come first.
        for seen in std::mem::take(&mut self.quantiles).into_values().rev() {
            if seen.has_nan {
                self.check_quantile(f64::NAN, seen.span);
            }
            if seen.highest > 1.0 {
                self.check_quantile(seen.highest, seen.span);
            }
            if seen.lowest < 0.0 {
                self.check_quantile(seen.lowest, seen.span);
            }
        }
        (
            shown(self.warnings, query, "warning"),
            shown(self.infos, query, "info"),
        )
    }
}

fn insert(messages: &mut Messages, message: String, span: Span) {
    if messages.len() < MAX_KEPT || messages.contains_key(&message) {
        messages.insert(message, span);
    }
}

fn shown(messages: Messages, query: &str, kind: &str) -> Vec<String> {
    let left_out = messages.len().saturating_sub(MAX_SHOWN);
    let with_place = |(message, span): (String, Span)| {
        let (line, column) = line_and_column(query, span.start);
        format!("{message} ({line}:{column})")
    };
    let mut shown: Vec<_> = messages
        .into_iter()
        .take(MAX_SHOWN)
        .map(with_place)
        .collect();
    if left_out > 0 {
        shown.push(format!("{left_out} more {kind} annotations omitted"));
    }
    shown
}
