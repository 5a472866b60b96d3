//! Installs the observatory, the only set-up that a service needs in addition to annotations.

use std::net::SocketAddr;

use llm_observatory::{Config, Observatory, TraceExporter};

/// A failure to start.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Installs the subscriber, and serves `/metrics` on `listen`.
pub(crate) fn install(listen: SocketAddr) -> Result<Observatory, Error> {
    let mut config = Config::load()?
        .with_prefix("llm_router_")
        .with_listen(listen);
    // Thousands of spans on standard output are not useful. A Collector can receive them, and /dashboard/traces shows
    // the latest, slowest and failed traces without a Collector.
    config
        .traces
        .exporters
        .retain(|exporter| *exporter != TraceExporter::Console);
    Ok(Observatory::install(config)?)
}
