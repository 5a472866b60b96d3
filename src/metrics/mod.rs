//! Metrics: the catalog, the registry, the sinks that write observations to it, and the exposition formats.

pub mod catalog;
pub(crate) mod derived;
pub(crate) mod exposition;
pub(crate) mod registry;
mod sink;

pub(crate) use self::registry::{MAX_SERIES, check_buckets};
pub use self::{
    exposition::Format,
    registry::{BucketsError, BucketsFor, Registry, RegistryOptions},
    sink::{FacadeSink, MetricsSink, Side, SinkOptions},
};
