//! The choice of a model.

use tracing::{Span, field::Empty, info_span};

use super::owned::Owned;

/// A model is being chosen; [`ActiveRouting::selected`] says which. A choice that is dropped before chose nothing, and
/// is counted as no decision.
#[derive(Debug)]
#[must_use = "say which model was selected"]
pub struct ActiveRouting(Owned);

/// Begins a choice by this strategy, `round_robin` or `cheapest`, say.
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
    /// The span of the choice.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// This model was chosen; the reason is one of a small fixed set.
    pub fn selected(self, model: &str, reason: &str) {
        tracing::record_all!(
            self.0,
            selected_model = model,
            reason = reason,
            status = "success"
        );
    }

    /// No model could be chosen; the class of the reason.
    pub fn fail(self, error_type: &str) {
        tracing::record_all!(self.0, error.r#type = error_type, status = "error");
    }
}
