//! Annotate once with `#[instrument]`; get correct metrics for services that route or serve LLM inference.
mod clock;
mod interner;
pub mod layer;
pub mod metrics;
pub mod observation;
mod own_thread;
pub use crate::{clock::*, layer::*, metrics::*, observation::*};
