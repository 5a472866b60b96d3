//! Annotate once with `#[instrument]`; get correct metrics for services that route or serve LLM inference.
mod clock;
pub mod config;
mod interner;
pub mod layer;
pub mod metrics;
pub mod observation;
pub mod observatory;
mod own_thread;
#[cfg(feature = "server")]
mod server;
mod system;
pub use crate::metrics::catalog::DEFAULT_BUCKETS;
pub use crate::{clock::*, config::*, layer::*, metrics::*, observation::*, observatory::*};
