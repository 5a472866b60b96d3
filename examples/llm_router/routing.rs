//! Selects the model that answers a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::ValueEnum;
use llm_observatory::instrument::begin_routing;

use crate::models::Model;

/// The strategy that selects a model for a request that asks for `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// Each model in turn.
    RoundRobin,
    /// The model with the smallest share of its capacity in use.
    LeastBusy,
    /// The cheapest model with free capacity.
    Cheapest,
    /// The best model with free capacity.
    QualityFirst,
}

impl Strategy {
    fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Cheapest => "cheapest",
            Self::QualityFirst => "quality_first",
        }
    }
}

/// The models, and the strategy that selects among them.
#[derive(Debug)]
pub(crate) struct Router {
    models: Vec<Arc<Model>>,
    strategy: Strategy,
    turn: AtomicUsize,
}

/// The request names an unknown model.
#[derive(Debug)]
pub(crate) struct UnknownModel;

impl Router {
    /// Returns `None` if there are no models.
    pub(crate) fn new(models: Vec<Arc<Model>>, strategy: Strategy) -> Option<Self> {
        let turn = AtomicUsize::new(0);
        (!models.is_empty()).then_some(Self {
            models,
            strategy,
            turn,
        })
    }

    pub(crate) fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// Returns the model that a request names, or selects one for `auto`.
    pub(crate) fn route(&self, name: &str) -> Result<&Arc<Model>, UnknownModel> {
        if name == "auto" {
            return Ok(self.select(None));
        }
        // Looked up before the decision is recorded: an unknown name must not become a label.
        let named = self
            .models
            .iter()
            .find(|model| model.id == name)
            .ok_or(UnknownModel)?;
        Ok(self.select(Some(named)))
    }

    fn select<'a>(&'a self, named: Option<&'a Arc<Model>>) -> &'a Arc<Model> {
        let choice = begin_routing(named.map_or(self.strategy.name(), |_| "direct"));
        let (model, reason) = match (named, self.strategy) {
            (Some(model), _) => (model, "named_by_client"),
            (None, Strategy::RoundRobin) => (self.next_in_turn(), "next_in_turn"),
            (None, Strategy::LeastBusy) => self.first_by(Model::load_permille, "lowest_load"),
            (None, Strategy::Cheapest) => self.first_by(
                |model| model.traits.cents_per_million_tokens,
                "lowest_price",
            ),
            (None, Strategy::QualityFirst) => {
                self.first_by(|model| usize::MAX - model.traits.quality, "best_quality")
            }
        };
        choice.selected(&model.id, reason);
        model
    }

    fn next_in_turn(&self) -> &Arc<Model> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.models[turn % self.models.len()]
    }

    /// Returns the first model by rank among those with free capacity; if all are full, the least busy model.
    fn first_by(
        &self,
        rank: impl Fn(&Model) -> usize,
        reason: &'static str,
    ) -> (&Arc<Model>, &'static str) {
        let with_room = self.models.iter().filter(|model| model.has_room());
        match with_room.min_by_key(|model| rank(model)) {
            Some(model) => (model, reason),
            None => (self.least_busy(), "all_full"),
        }
    }

    fn least_busy(&self) -> &Arc<Model> {
        let rest = self.models.iter();
        // `new` refuses an empty list, so there is a first model.
        rest.fold(&self.models[0], |best, model| {
            if model.load_permille() < best.load_permille() {
                model
            } else {
                best
            }
        })
    }
}
