//! Checks of a whole configuration: each area checks its own options, and this module checks the rest.

use std::time::Duration;

use super::Config;
use crate::{
    health::HealthDetails,
    layer::is_known_field,
    observation::{Kind, Mapping},
    settings::{ConfigError, MIN_INTERVAL, at_least, check, check_compiled_in},
};

/// The time limit of a shutdown that is taken for a mistake: service managers kill a process much earlier.
const MAX_SHUTDOWN_TIMEOUT: Duration = Duration::from_hours(1);

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    at_least("tick", &config.tick, MIN_INTERVAL)?;
    check(
        !config.shutdown_timeout.is_zero() && config.shutdown_timeout <= MAX_SHUTDOWN_TIMEOUT,
        "shutdown_timeout",
        &config.shutdown_timeout,
        "a duration above 0s and at most 1h",
    )?;
    check(
        !config.service.name.is_empty(),
        "service.name",
        &config.service.name,
        "a name",
    )?;
    let health = config.health.enabled;
    check_compiled_in("health.enabled", health, cfg!(feature = "health"), "health")?;
    config.health.validate()?;
    health_details(config)?;
    paths(config)?;
    config.prometheus.validate()?;
    #[cfg(feature = "server")]
    config.server.validate()?;
    config.query.validate(config.tick)?;
    #[cfg(feature = "alerting")]
    config.alerting.validate()?;
    check(
        !config.traces.logs.enabled || config.traces.enabled || !config.enabled,
        "traces.logs.enabled",
        &true,
        "false, or traces on, since log records carry the ids of traces",
    )?;
    config.traces.validate()?;
    config.push.validate()?;
    config.profiler.validate()?;
    names(&config.mapping)
}

/// Checks that the callers who may see details can prove who they are.
fn health_details(config: &Config) -> Result<(), ConfigError> {
    #[cfg(feature = "alerting")]
    let has_token = config.alerting.api_token.is_some();
    #[cfg(not(feature = "alerting"))]
    let has_token = false;
    check(
        config.health.details != HealthDetails::Authenticated || has_token,
        "health.details",
        &config.health.details.as_str(),
        "`always`, or alerting.api_token (OBSERVATORY_TOKEN) must be set",
    )
}

fn paths(config: &Config) -> Result<(), ConfigError> {
    let (metrics, health) = (&config.prometheus.endpoint, &config.health.endpoint);
    for (key, path) in [
        ("prometheus.endpoint", metrics),
        ("health.endpoint", health),
    ] {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
        let is_path = path.starts_with('/') && path.len() > 1 && path.bytes().all(is_plain);
        check(is_path, key, path, "a path such as `/metrics`")?;
    }
    let all = [metrics.as_str(), health.as_str(), "/status"];
    let are_different = all[0] != all[1] && all[0] != all[2] && all[1] != all[2];
    check(
        are_different,
        "prometheus.endpoint",
        &all,
        "different paths for metrics, health and status",
    )
}

fn names(mapping: &Mapping) -> Result<(), ConfigError> {
    const SPAN: &str =
        "mapped to a span name of the table in the documentation, for example `inference`";
    const FIELD: &str =
        "mapped to a field name of the table in the documentation, for example `model_id`";
    for pair in &mapping.spans {
        check(Kind::is_known(pair.1), "mapping.spans", &pair, SPAN)?;
    }
    for pair in &mapping.fields {
        check(is_known_field(pair.1), "mapping.fields", &pair, FIELD)?;
    }
    Ok(())
}
