//! Reports a filter of the subscriber that hides the spans that are turned into metrics.

use std::{
    io::{self, Write as _},
    sync::Mutex,
};

use tracing::Dispatch;

use crate::{
    layer::HiddenSpans,
    metrics::{Registry, catalog},
    runtime::lock,
};

/// The check of the subscriber's filters.
///
/// The subscriber is asked when it is assembled and at the shutdown. The answer is logged by the observatory's thread,
/// or written to standard error where the filter hides the log line as well.
#[derive(Debug, Default)]
pub(super) struct FilterCheck {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hidden: Option<HiddenSpans>,
    is_reported: bool,
    ticks: u8,
}

impl FilterCheck {
    /// Asks the subscriber, and records the number of hidden kinds of span in the gauge.
    pub(super) fn ask(&self, subscriber: &Dispatch, registry: &Registry) {
        let hidden = HiddenSpans::of(subscriber);
        let spans = hidden.as_ref().map_or(0, |hidden| hidden.spans.len());
        registry.set(&catalog::HIDDEN_SPAN_KINDS, &[], spans as f64);
        let mut state = lock(&self.state);
        state.hidden = hidden;
        if let Some(hidden) = state.hidden.as_ref().filter(|hidden| hidden.hides_errors)
            && hidden.passing_targets.is_empty()
            && !state.is_reported
        {
            to_stderr(&message(hidden));
            state.is_reported = true;
        }
    }

    /// Logs the answer at the second tick: at the first tick, the application may be about to install the subscriber as
    /// the global default.
    pub(super) fn tick(&self) {
        let mut state = lock(&self.state);
        state.ticks = state.ticks.saturating_add(1);
        if state.ticks >= 2 {
            state.report();
        }
    }

    /// Asks the subscriber again, and reports a filter that has not been reported, or that has hidden every observation
    /// of the run.
    pub(super) fn end(&self, subscriber: Option<&Dispatch>, registry: &Registry) {
        if let Some(subscriber) = subscriber {
            self.ask(subscriber, registry);
        }
        let mut state = lock(&self.state);
        let is_partial = |hidden: &&HiddenSpans| !hidden.passing_targets.is_empty();
        if let Some(hidden) = state.hidden.as_ref().filter(is_partial)
            && registry.counter_total(catalog::OBSERVATIONS.name) == 0
        {
            let text = format!("nothing was measured in this run: {}", message(hidden));
            if hidden.hides_errors {
                to_stderr(&text);
            } else {
                tracing::error!(target: "llm_observatory", "{text}");
            }
            state.is_reported = true;
        }
        state.report();
    }

    /// Returns the message about a filter that hides spans, for `/status`.
    pub(super) fn problem(&self) -> Option<String> {
        let state = lock(&self.state);
        state.hidden.as_ref().map(message)
    }
}

impl State {
    fn report(&mut self) {
        let Some(hidden) = &self.hidden else {
            return;
        };
        if std::mem::replace(&mut self.is_reported, true) {
            return;
        }
        let text = message(hidden);
        if hidden.passing_targets.is_empty() {
            tracing::error!(target: "llm_observatory", "{text}");
        } else {
            tracing::info!(target: "llm_observatory", "{text}");
        }
    }
}

/// Writes a line to standard error, which no filter of the log hides.
pub(super) fn to_stderr(text: &str) {
    // A closed standard error leaves the gauge and `/status`.
    let _ = writeln!(io::stderr(), "llm_observatory: {text}");
}

/// Returns the message, with the change that repairs the subscriber.
fn message(hidden: &HiddenSpans) -> String {
    let filter = hidden
        .filter
        .as_ref()
        .map_or_else(String::new, |filter| format!(" ({filter:?})"));
    let spans = hidden.spans.join(", ");
    let passing = &hidden.passing_targets;
    let effect = if passing.is_empty() {
        "so they are not measured".to_owned()
    } else {
        format!(
            "so that spans of the targets {} are measured, and no others",
            passing.join(", ")
        )
    };
    format!(
        "a filter of the subscriber{filter} hides INFO spans ({spans}) from the observatory, {effect}; put the filter on the log alone: registry().with(layer).with(fmt::layer().with_filter(filter)), or add a directive for your crate, such as my_crate=info"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_filter_the_spans_and_the_targets_that_pass() {
        let mut hidden = HiddenSpans {
            spans: vec!["inference", "cache"],
            filter: Some("my_app=info".to_owned()),
            passing_targets: vec!["my_app".to_owned()],
            hides_errors: true,
        };
        let text = message(&hidden);
        assert!(
            text.contains(r#"("my_app=info") hides INFO spans (inference, cache)"#),
            "{text}"
        );
        assert!(
            text.contains("targets my_app are measured, and no others"),
            "{text}"
        );
        hidden.passing_targets.clear();
        assert!(message(&hidden).contains("so they are not measured"));
    }
}
