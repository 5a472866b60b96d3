//! Installs the observatory: all that a service has to do beside annotating its code.

use std::net::SocketAddr;

use llm_observatory::{Config, Observatory};

/// A failure to start, from whatever layer it comes.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Takes over spans and events, and serves `/metrics` on `listen`.
pub(crate) fn install(listen: SocketAddr) -> Result<Observatory, Error> {
    let config = Config::load()?
        .with_prefix("llm_router_")
        .with_listen(listen);
    Ok(Observatory::install(config)?)
}
