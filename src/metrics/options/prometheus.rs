//! Options of the metrics and of the server that exposes them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::metrics::{BucketsFor, RegistryOptions, Side, SinkOptions};

/// Options of the metrics and of the server that exposes them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrometheusConfig {
    /// True if the server runs. Default: true if the feature `server` is compiled in.
    pub enabled: bool,
    /// Address of the server; port 0 selects a free port. Default: `127.0.0.1:9090`.
    pub listen: SocketAddr,
    /// Path of the metrics. Default: `/metrics`.
    pub endpoint: String,
    /// Prefix of the prefixed metrics of the catalog. Default: `llm_router_`.
    pub prefix: String,
    /// Labels that every series gets. Default: no labels.
    pub labels: BTreeMap<String, String>,
    /// Max series of a metric; further series fold into an overflow series. Default: 2,000.
    pub series_limit: usize,
    /// Time without a change after which a series is hidden until its next change. Default: never.
    pub idle_timeout: Option<Duration>,
    /// Buckets of histograms, by full name, prefix or suffix; the first match applies. Default: the buckets of the catalog.
    pub buckets: Vec<(BucketsFor, Vec<f64>)>,
    /// Side of the `GenAI` conventions' metrics; `None` turns these metrics off. Default: client.
    pub gen_ai: Option<Side>,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        let registry = RegistryOptions::default();
        Self {
            enabled: cfg!(feature = "server"),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090),
            endpoint: "/metrics".to_owned(),
            prefix: registry.prefix,
            labels: registry.labels,
            series_limit: registry.series_limit,
            idle_timeout: registry.idle_timeout,
            buckets: registry.buckets,
            gen_ai: SinkOptions::default().gen_ai,
        }
    }
}
