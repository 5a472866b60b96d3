//! Metrics: what there is, where it is kept, how it is written, and how observations get there.

pub mod catalog;
#[cfg(feature = "alerting")]
pub(crate) mod collect;
pub(crate) mod derived;
pub(crate) mod exposition;
pub(crate) mod registry;
mod sink;

pub(crate) use self::registry::{MOST_SERIES, check_buckets};
pub use self::{
    exposition::Format,
    registry::{BucketsError, BucketsFor, Registry, RegistryOptions},
    sink::{FacadeSink, MetricsSink, Side, SinkOptions},
};
