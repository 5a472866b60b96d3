//! Checks whether a filter of the subscriber hides the spans that are turned into metrics.

use super::Core;
use crate::layer::hidden_kinds;

/// The check, which runs once.
#[derive(Default)]
pub(super) struct FilterCheck {
    was_subscriber_registered: bool,
    is_done: bool,
}

impl FilterCheck {
    /// Runs the check at the second call that finds a subscriber: at the first call, the application may be about to
    /// install it as the global default.
    pub(super) fn run_once(&mut self, core: &Core) {
        let Some(subscriber) = core.subscriber.get().filter(|_| !self.is_done) else {
            return;
        };
        if !std::mem::replace(&mut self.was_subscriber_registered, true) {
            return;
        }
        self.is_done = true;
        // The subscriber is checked as a scoped default only if the global default hides spans, since a scoped default
        // disables tracing's fast path in the whole process while it exists.
        if hidden_kinds().is_empty() {
            return;
        }
        let hidden = tracing::dispatcher::with_default(&subscriber, hidden_kinds);
        if !hidden.is_empty() {
            report(core, &hidden);
        }
    }
}

fn report(core: &Core, hidden: &[&str]) {
    tracing::error!(
        target: "llm_observatory",
        "a filter of the subscriber hides INFO spans of unknown targets (RUST_LOG is {:?}), so these kinds are not measured, unless it names your own crates: {}; put the filter on the log's layer alone (layer.with_filter(…)), or let INFO spans through",
        core.config.log_filter,
        hidden.join(", "),
    );
}
