//! Metrics: the catalog, the registry, the sinks that write observations to it, and the exposition formats.

#[cfg(any(feature = "alerting", feature = "server"))]
mod budget;
pub mod catalog;
#[cfg(feature = "alerting")]
pub(crate) mod collect;
mod derived;
pub(crate) mod exposition;
mod gatherer;
mod options;
pub(crate) mod registry;
mod sink;

#[cfg(all(feature = "alerting", feature = "server"))]
pub(crate) use self::budget::SAMPLE_BYTES;
#[cfg(any(feature = "alerting", feature = "server"))]
pub(crate) use self::budget::{QueryBudget, Share};
pub(crate) use self::gatherer::Gatherer;
pub(crate) use self::registry::{MAX_SERIES, check_buckets};
pub(crate) use self::sink::{HANDLE_LIFETIME, ServiceSink};
pub use self::{
    exposition::Format,
    options::{PrometheusConfig, QueryConfig, RetentionConfig},
    registry::{BucketsError, BucketsFor, Registry, RegistryOptions},
    sink::{FacadeSink, MetricsSink, Side, SinkOptions},
};
