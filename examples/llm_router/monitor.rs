//! Installs the observatory, the only set-up that a service needs in addition to annotations.

use std::{net::SocketAddr, time::Duration};

use llm_observatory::alerting::{Slo, slo_rules};
use llm_observatory::{Config, Observatory};

/// A failure to start.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Installs the subscriber, and serves `/metrics` on `listen`.
pub(crate) fn install(listen: SocketAddr) -> Result<Observatory, Error> {
    // The page of the dashboard shows the latest, slowest and failed traces; `OTEL_EXPORTER_OTLP_ENDPOINT` sends all of
    // them to a collector, too. The short tick lets the page show a request soon.
    let mut config = Config::load()?
        .with_listen(listen)
        .with_tick(Duration::from_millis(500));
    let prefix = &config.prometheus.prefix;
    let availability = Slo::new(
        "availability",
        format!("{prefix}http_requests_total{{status_code=~\"5..\"}}"),
        format!("{prefix}http_requests_total"),
        0.99,
    );
    config
        .alerting
        .rule_groups
        .extend(availability.as_ref().map(slo_rules));
    Ok(Observatory::install(config)?)
}
