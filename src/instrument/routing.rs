//! Measures the choice of a model for a request.

use tracing::{Span, field::Empty, info_span};

use super::owned::Owned;

/// The choice of a model in progress. [`ActiveRouting::selected`] ends the choice; a choice that is dropped before counts
/// as no decision.
#[derive(Debug)]
#[must_use = "a choice that is dropped without `selected` counts as no decision"]
pub struct ActiveRouting(Owned);

/// Begins a choice with this strategy, for example `round_robin` or `cheapest`.
///
/// ```
/// use llm_observatory::instrument::begin_routing;
///
/// let choice = begin_routing("cheapest");
/// let model = "gpt-4o-mini"; // … found among those that have room
/// choice.selected(model, "lowest_price");
/// ```
pub fn begin_routing(strategy: &str) -> ActiveRouting {
    ActiveRouting(Owned::new(info_span!(
        "route_selection",
        strategy,
        selected_model = Empty,
        reason = Empty,
        status = Empty,
        error.r#type = Empty,
        observatory.ended = Empty,
    )))
}

impl ActiveRouting {
    /// Returns the span of the choice.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// Records the selected model. The reason must come from a small fixed set.
    pub fn selected(self, model: &str, reason: &str) {
        tracing::record_all!(
            self.0,
            selected_model = model,
            reason = reason,
            status = "success"
        );
    }

    /// Records a failed choice with an error class.
    pub fn fail(self, error_type: &str) {
        tracing::record_all!(self.0, error.r#type = error_type, status = "error");
    }
}
