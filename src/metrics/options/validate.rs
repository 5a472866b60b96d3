//! Checks of the options of metrics.

use std::time::Duration;

use super::{PrometheusConfig, QueryConfig};
use crate::{
    metrics::{MAX_SERIES, check_buckets},
    settings::{ConfigError, check, check_compiled_in, is_metric_name_part},
};

/// Min retention in ticks, so that `rate()` has a result.
const MIN_TICKS: u32 = 10;
/// Min memory of the series store, in bytes.
const MIN_BYTES: usize = 1 << 20;
/// Min retention of the samples per minute, which are a minute apart.
const MIN_COARSE_TIME: Duration = Duration::from_mins(1);
/// The largest value of `query.max_query_bytes`.
const MAX_QUERY_BYTES: usize = 1 << 20;

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
        check_compiled_in(
            self.enabled,
            cfg!(feature = "server"),
            "prometheus.enabled",
            "false, or the feature `server` added",
        )?;
        let PrometheusConfig {
            prefix,
            series_limit,
            labels,
            buckets,
            ..
        } = self;
        check(
            is_metric_name_part(prefix),
            "prometheus.prefix",
            prefix,
            NAME,
        )?;
        let is_limit = (1..=MAX_SERIES).contains(series_limit);
        check(
            is_limit,
            "prometheus.series_limit",
            series_limit,
            "a number from 1 to 1000000",
        )?;
        let is_timeout = self
            .idle_timeout
            .is_none_or(|timeout| timeout >= Duration::from_secs(1));
        check(
            is_timeout,
            "prometheus.idle_timeout",
            &self.idle_timeout,
            "at least 1s",
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
        check_compiled_in(
            true,
            cfg!(feature = "alerting"),
            "query.enabled",
            "false, or the feature `alerting` added",
        )?;
        let QueryConfig {
            retention,
            timeout,
            max_samples,
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
        check(
            retention.bytes >= MIN_BYTES,
            "query.retention.bytes",
            &retention.bytes,
            "at least 1048576 (1 MiB)",
        )?;
        check(
            retention.coarse_time.is_zero() || retention.coarse_time >= MIN_COARSE_TIME,
            "query.retention.coarse_time",
            &retention.coarse_time,
            "0s, or at least 1m",
        )?;
        check(
            *timeout >= Duration::from_millis(10),
            "query.timeout",
            timeout,
            "at least 10ms",
        )?;
        check(
            *max_samples > 0,
            "query.max_samples",
            max_samples,
            "a whole number above 0",
        )?;
        check(
            (1..=MAX_QUERY_BYTES).contains(max_query_bytes),
            "query.max_query_bytes",
            max_query_bytes,
            "a whole number from 1 to 1048576 (1 MiB)",
        )?;
        check(
            *lookback >= tick,
            "query.lookback",
            lookback,
            "at least one tick",
        )
    }
}
