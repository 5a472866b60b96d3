//! Checks of the options of metrics.

use std::time::Duration;

use super::{PrometheusConfig, QueryConfig};
use crate::{
    metrics::{MAX_SERIES, check_buckets},
    settings::{ConfigError, at_least, check, check_compiled_in, is_metric_name_part, within},
};

/// Min retention in ticks, so that `rate()` has a result.
const MIN_TICKS: u32 = 10;
/// Min memory of the series store, and of all queries together, in bytes.
const MIN_BYTES: usize = 1 << 20;
/// Min retention of the samples per minute, which are a minute apart.
const MIN_COARSE_TIME: Duration = Duration::from_mins(1);
/// The largest value of `query.max_query_bytes`.
const MAX_QUERY_BYTES: usize = 1 << 20;

/// Min time after which an unchanged series is hidden.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Max time after which an unused series is registered anew in a foreign recorder.
const MAX_HANDLE_LIFETIME: Duration = Duration::from_hours(1);
/// Min time limit of a query.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);

const NAME: &str = "made of letters, digits and underscores, and not beginning with a digit; for example `my_service_`";
const LABEL: &str =
    "a label name: letters, digits and underscores, not `le`, not beginning with a digit or `__`";

impl PrometheusConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let (key, has_server) = ("prometheus.enabled", cfg!(feature = "server"));
        check_compiled_in(key, self.enabled, has_server, "server")?;
        let PrometheusConfig {
            prefix,
            series_limit,
            labels,
            buckets,
            idle_timeout,
            handle_lifetime,
            ..
        } = self;
        check(
            is_metric_name_part(prefix),
            "prometheus.prefix",
            prefix,
            NAME,
        )?;
        within("prometheus.series_limit", series_limit, 1, MAX_SERIES)?;
        if let Some(timeout) = idle_timeout {
            at_least("prometheus.idle_timeout", timeout, MIN_IDLE_TIMEOUT)?;
        }
        check(
            *handle_lifetime <= MAX_HANDLE_LIFETIME,
            "prometheus.handle_lifetime",
            handle_lifetime,
            "at most 1h, and below the idle timeout of the application's recorder",
        )?;
        for label in labels.keys() {
            let is_label = !label.is_empty()
                && is_metric_name_part(label)
                && !label.starts_with("__")
                && label != "le";
            check(is_label, "prometheus.labels", label, LABEL)?;
        }
        for (which, upper) in buckets {
            check_buckets(upper).map_err(|error| ConfigError::Buckets {
                metrics: format!("{which:?}"),
                problem: error.to_string(),
            })?;
        }
        Ok(())
    }
}

impl QueryConfig {
    /// Checks every value, if the series store is on.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self, tick: Duration) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        let has_alerting = cfg!(feature = "alerting");
        check_compiled_in("query.enabled", true, has_alerting, "alerting")?;
        let QueryConfig {
            retention,
            timeout,
            max_samples,
            max_memory,
            max_query_bytes,
            lookback,
            ..
        } = self;
        check(
            retention.time >= tick * MIN_TICKS,
            "query.retention.time",
            &retention.time,
            "at least ten ticks",
        )?;
        at_least("query.retention.bytes", &retention.bytes, MIN_BYTES)?;
        check(
            retention.coarse_time.is_zero() || retention.coarse_time >= MIN_COARSE_TIME,
            "query.retention.coarse_time",
            &retention.coarse_time,
            "0s, or at least 1m",
        )?;
        at_least("query.timeout", timeout, MIN_TIMEOUT)?;
        at_least("query.max_samples", max_samples, 1)?;
        at_least("query.max_memory", max_memory, MIN_BYTES)?;
        within("query.max_query_bytes", max_query_bytes, 1, MAX_QUERY_BYTES)?;
        check(
            *lookback >= tick,
            "query.lookback",
            lookback,
            "at least one tick",
        )
    }
}
