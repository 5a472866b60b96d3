//! Options of the metrics and of the server that exposes them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::metrics::{BucketsFor, RegistryOptions, Side, SinkOptions};

/// Metrics, and where they are served.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrometheusConfig {
    /// Whether the server runs. Default: true, where the feature `server` is compiled in.
    pub enabled: bool,
    /// Address of the server; port 0 takes any that is free. Default: `127.0.0.1:9090`.
    pub listen: SocketAddr,
    /// Path of the metrics. Default: `/metrics`.
    pub endpoint: String,
    /// Goes before the names of the seed's metrics. Default: `llm_router_`.
    pub prefix: String,
    /// Labels that every series gets. Default: none.
    pub labels: BTreeMap<String, String>,
    /// Series a metric may have; those beyond fold into an overflow series. Default: 2,000.
    pub series_limit: usize,
    /// A series that did not change for this long is not shown until it does. Default: never.
    pub idle_timeout: Option<Duration>,
    /// Buckets of histograms, by full name, prefix or suffix; the first that matches counts. Default: none.
    pub buckets: Vec<(BucketsFor, Vec<f64>)>,
    /// Which side of the `GenAI` conventions' metrics the service has; `None` turns them off. Default: client.
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
