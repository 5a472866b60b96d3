//! The values that the server answers from, and the options of the server. The observatory supplies both.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::AllowedHosts;
#[cfg(feature = "otlp")]
use crate::traces::LiveTraces;
#[cfg(feature = "alerting")]
use crate::{alerting::Alerts, metrics::collect::Queries, privacy::Secret};
use crate::{
    metrics::{Gatherer, QueryBudget},
    profiler::Profiler,
};

/// The values that the server answers from.
pub(crate) struct Sources {
    pub(crate) options: ServerOptions,
    /// `service.name`.
    pub(crate) service: String,
    /// The preset, if one was selected.
    pub(crate) environment: Option<String>,
    /// The interval at which series get a new sample.
    pub(crate) tick: Duration,
    pub(crate) gatherer: Arc<Gatherer>,
    #[cfg(feature = "health")]
    pub(crate) health: crate::health::Health,
    /// Returns the JSON document of `/status` for a server that listens on this address.
    pub(crate) status: Box<dyn Fn(Option<SocketAddr>) -> String + Send + Sync>,
    /// The memory of queries and other answers, except for metrics and health.
    pub(crate) budget: Arc<QueryBudget>,
    #[cfg(feature = "alerting")]
    pub(crate) queries: Arc<Queries>,
    #[cfg(feature = "alerting")]
    pub(crate) alerts: Alerts,
    /// Returns the oldest open spans as JSON, up to a number.
    #[cfg(feature = "health")]
    pub(crate) tasks: Box<dyn Fn(usize) -> String + Send + Sync>,
    pub(crate) profiler: Profiler,
    #[cfg(feature = "otlp")]
    pub(crate) live_traces: Box<dyn Fn() -> LiveTraces + Send + Sync>,
}

/// The options of the server.
pub(crate) struct ServerOptions {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_path: String,
    pub(crate) health_path: String,
    /// True if every caller sees messages and checks in the health report.
    #[cfg(feature = "health")]
    pub(crate) shows_health_details: bool,
    /// The time that answers in progress get after the start of the shutdown.
    pub(crate) shutdown_grace: Duration,
    pub(crate) hosts: AllowedHosts,
    pub(crate) max_connections: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// The time that a query may wait for other queries.
    #[cfg(feature = "alerting")]
    pub(crate) query_timeout: Duration,
    /// The token that requests must carry if they change something.
    #[cfg(feature = "alerting")]
    pub(crate) api_token: Option<Secret>,
    /// The template of the address at which a browser finds a trace.
    #[cfg(all(feature = "alerting", feature = "otlp"))]
    pub(crate) trace_url: Option<String>,
    #[cfg(feature = "otlp")]
    pub(crate) traces: TraceOptions,
}

/// The options of traces that the page of live traces shows.
#[cfg(feature = "otlp")]
pub(crate) struct TraceOptions {
    pub(crate) is_enabled: bool,
    pub(crate) sampling_ratio: f64,
}
