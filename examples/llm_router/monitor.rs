//! Installs the observatory: all that a service has to do beside annotating its code.

use std::net::SocketAddr;

use llm_observatory::{Config, Observatory, TraceExporter};

/// A failure to start, from whatever layer it comes.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Takes over spans and events, and serves `/metrics` on `listen`.
pub(crate) fn install(listen: SocketAddr) -> Result<Observatory, Error> {
    let mut config = Config::load()?
        .with_prefix("llm_router_")
        .with_listen(listen);
    // A span on standard output for each of thousands of requests is for nobody; a Collector takes them, and the
    // latest, slowest and failed traces can be looked at under /dashboard/traces without one.
    config
        .traces
        .exporters
        .retain(|exporter| *exporter != TraceExporter::Console);
    Ok(Observatory::install(config)?)
}
