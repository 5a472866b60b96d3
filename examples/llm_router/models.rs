//! The models that the router offers: their cost, quality, speed and current load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::instrument;

use crate::cli::Speed;

/// A loaded model.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "`model_type` is the name of the label"
)]
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) model_type: &'static str,
    pub(crate) engine: &'static str,
    pub(crate) traits: Traits,
    /// One permit for each request that the engine processes concurrently; other requests queue.
    pub(crate) slots: Arc<Semaphore>,
    in_flight: AtomicUsize,
}

/// Properties of a model that strategies and the embedded engine use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    pub(crate) prefill_tokens_per_second: f64,
    pub(crate) decode_tokens_per_second: f64,
    pub(crate) concurrency: usize,
    pub(crate) cents_per_million_tokens: usize,
    /// Higher is better; only the order matters.
    pub(crate) quality: usize,
    load_time: Duration,
}

/// A request's place at a model, queued or running. The place is released on drop.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Model>);

impl Model {
    fn new(id: &str, model_type: &'static str, engine: &'static str, traits: Traits) -> Self {
        Self {
            id: id.to_owned(),
            model_type,
            engine,
            traits,
            slots: Arc::new(Semaphore::new(traits.concurrency)),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Takes a place, so that strategies see the load of the model.
    pub(crate) fn take_seat(self: &Arc<Self>) -> Seat {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(self))
    }

    /// Returns the load in thousandths of the capacity, including queued requests.
    pub(crate) fn load_permille(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed) * 1_000 / self.traits.concurrency
    }

    /// Returns `true` if another request would start immediately.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) < self.traits.concurrency
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Loads the embedded models one after the other, like a server with one disk.
pub(crate) async fn load_embedded(speed: Speed) -> Vec<Arc<Model>> {
    let mut models = Vec::new();
    for model in embedded() {
        models.push(load(model, speed).await);
    }
    models
}

/// Registers the models of an upstream server, which has already loaded them.
pub(crate) async fn load_upstream(ids: &[String], speed: Speed) -> Vec<Arc<Model>> {
    let traits = Traits {
        prefill_tokens_per_second: 0.0,
        decode_tokens_per_second: 0.0,
        concurrency: 256,
        cents_per_million_tokens: 0,
        quality: 0,
        load_time: Duration::ZERO,
    };
    let mut models = Vec::new();
    for id in ids {
        models.push(load(Model::new(id, "chat", "upstream", traits), speed).await);
    }
    models
}

#[instrument(
    name = "model_load",
    skip_all,
    fields(model_id = model.id.as_str(), model_type = model.model_type, engine = model.engine)
)]
async fn load(model: Model, speed: Speed) -> Arc<Model> {
    tokio::time::sleep(speed.scale(model.traits.load_time)).await;
    Arc::new(model)
}

/// Returns models with rates in the range of current hardware for these sizes.
fn embedded() -> [Model; 4] {
    let traits = |prefill, decode, concurrency, price, quality, load_milliseconds| Traits {
        prefill_tokens_per_second: prefill,
        decode_tokens_per_second: decode,
        concurrency,
        cents_per_million_tokens: price,
        quality,
        load_time: Duration::from_millis(load_milliseconds),
    };
    [
        Model::new(
            "oak-70b",
            "chat",
            "gpu-large",
            traits(6_000.0, 45.0, 32, 90, 92, 1_200),
        ),
        Model::new(
            "elm-coder-32b",
            "code",
            "gpu-large",
            traits(9_000.0, 70.0, 32, 45, 88, 800),
        ),
        Model::new(
            "birch-8b",
            "chat",
            "gpu-small",
            traits(16_000.0, 110.0, 48, 10, 74, 400),
        ),
        Model::new(
            "reed-1b",
            "draft",
            "cpu",
            traits(3_000.0, 60.0, 16, 2, 51, 100),
        ),
    ]
}
