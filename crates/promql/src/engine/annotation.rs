//! Collects what a user should know about a result that is none the less one, worded as Prometheus does.

use std::collections::BTreeMap;

use super::number::format_literal;
use super::syntax::{Span, line_and_column};

/// Prometheus's API shows as many of each kind, and says how many more there are.
const MAX_SHOWN: usize = 10;
/// Messages name metrics, of which there may be many.
const MAX_KEPT: usize = 1000;

/// Warnings and notes of one run.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    warnings: Messages,
    infos: Messages,
    /// Of aggregations, by the place of the parameter.
    quantiles: BTreeMap<u32, Extremes>,
}

/// As in Prometheus each is kept once, with the place where it came about last.
type Messages = BTreeMap<String, Span>;

/// What a parameter has been over the steps of a range.
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

    /// Warns of a quantile that is none.
    pub(super) fn check_quantile(&mut self, q: f64, span: Span) {
        if !(0.0..=1.0).contains(&q) {
            let q = format_literal(q);
            let message = format!("quantile value should be between 0 and 1, got {q}");
            self.warn(&message, span);
        }
    }

    /// As [`check_quantile`](Self::check_quantile) for an aggregation, of which Prometheus names only the lowest and the
    /// highest over a range.
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

    /// Returns warnings and notes with their places in the query.
    pub(super) fn into_lists(mut self, query: &str) -> (Vec<String>, Vec<String>) {
        // Those inside of others stand behind them, and speak first.
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
