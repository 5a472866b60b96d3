//! What can be used, and what is said about what cannot.

use std::{fmt::Debug, time::Duration};

use tracing_subscriber::EnvFilter;

use super::{Config, ConfigError, PrometheusConfig};
use crate::{
    layer::{self, Mapping},
    metrics::check_buckets,
};

const SHORTEST_TICK: Duration = Duration::from_millis(100);

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    let is_filter = EnvFilter::builder().parse(&config.log_filter).is_ok();
    check(
        config.tick >= SHORTEST_TICK,
        "tick",
        &config.tick,
        "a duration of at least 100ms",
    )?;
    check(
        !config.service.name.is_empty(),
        "service.name",
        &config.service.name,
        "a name",
    )?;
    check(
        is_filter,
        "log_filter",
        &config.log_filter,
        "in the syntax of RUST_LOG, `info,my_crate=debug`, say",
    )?;
    paths(config)?;
    metrics(&config.prometheus)?;
    names(&config.mapping)
}

fn paths(config: &Config) -> Result<(), ConfigError> {
    let (metrics, health) = (&config.prometheus.endpoint, &config.health.endpoint);
    for (key, path) in [
        ("prometheus.endpoint", metrics),
        ("health.endpoint", health),
    ] {
        let is_path = path.starts_with('/')
            && path.len() > 1
            && !path.contains(['{', '}', '?', '#', ' ', '*']);
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

fn metrics(prometheus: &PrometheusConfig) -> Result<(), ConfigError> {
    const NAME: &str = "made of letters, digits and underscores, and not beginning with a digit; `my_service_`, say";
    const LABEL: &str = "a label name: letters, digits and underscores, not `le`, not beginning with a digit or `__`";
    let PrometheusConfig {
        prefix,
        series_limit,
        labels,
        buckets,
        ..
    } = prometheus;
    check(is_name_part(prefix), "prometheus.prefix", prefix, NAME)?;
    check(
        *series_limit > 0,
        "prometheus.series_limit",
        series_limit,
        "a number above 0",
    )?;
    for label in labels.keys() {
        let is_label =
            !label.is_empty() && is_name_part(label) && !label.starts_with("__") && label != "le";
        check(is_label, "prometheus.labels", label, LABEL)?;
    }
    for (which, upper) in buckets {
        check_buckets(upper).map_err(|source| ConfigError::Buckets {
            which: format!("{which:?}"),
            source,
        })?;
    }
    Ok(())
}

fn names(mapping: &Mapping) -> Result<(), ConfigError> {
    const SPAN: &str = "mapped to a span name of the table in the documentation, `inference`, say";
    const FIELD: &str = "mapped to a field name of the table in the documentation, `model_id`, say";
    for pair in &mapping.spans {
        check(layer::Kind::is_known(pair.1), "mapping.spans", &pair, SPAN)?;
    }
    for pair in &mapping.fields {
        check(
            layer::is_known_field(pair.1),
            "mapping.fields",
            &pair,
            FIELD,
        )?;
    }
    Ok(())
}

fn check(
    is_right: bool,
    key: &str,
    value: &dyn Debug,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if is_right {
        return Ok(());
    }
    Err(ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected,
    })
}

/// Whether this can stand at the beginning of a metric's name.
fn is_name_part(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_digit())
}
