//! Collects what a user should know about a result that is none the less one, worded as Prometheus does.

use std::collections::BTreeSet;

use super::syntax::{Span, line_and_column};

/// Prometheus's API cuts a longer list as well.
const MAX_ANNOTATIONS: usize = 10;

/// Warnings and notes of one run; each is kept once.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    pub(super) fn warn(&mut self, message: &str, place: (&str, Span)) {
        insert(
            &mut self.warnings,
            &format!("PromQL warning: {message}"),
            place,
        );
    }

    pub(super) fn inform(&mut self, message: &str, place: (&str, Span)) {
        insert(&mut self.infos, &format!("PromQL info: {message}"), place);
    }

    pub(super) fn into_lists(self) -> (Vec<String>, Vec<String>) {
        (
            self.warnings.into_iter().collect(),
            self.infos.into_iter().collect(),
        )
    }
}

fn insert(set: &mut BTreeSet<String>, message: &str, (query, span): (&str, Span)) {
    if set.len() < MAX_ANNOTATIONS {
        let (line, column) = line_and_column(query, span.start);
        set.insert(format!("{message} ({line}:{column})"));
    }
}
