//! Installs the observatory, the only set-up that a service needs in addition to annotations.

use std::net::SocketAddr;

use llm_observatory::{Config, Observatory};

/// A failure to start.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Installs the subscriber, and serves `/metrics` on `listen`.
pub(crate) fn install(listen: SocketAddr) -> Result<Observatory, Error> {
    // /dashboard/traces shows the latest, slowest and failed traces; `OTEL_EXPORTER_OTLP_ENDPOINT` sends all of them to a
    // collector, too.
    let config = Config::load()?.with_listen(listen);
    Ok(Observatory::install(config)?)
}
