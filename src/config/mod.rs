//! Configuration: plain data with defaults that work.
//!
//! [`Config::load`] takes a preset (`OBSERVATORY_ENV`, else `development`) and puts the environment over it;
//! `with_*` puts code over both. [`Config::validate`] names the key, the value and what would be right.

mod env;
#[cfg(test)]
mod otel_tests;
mod preset;
#[cfg(feature = "alerting")]
mod rule_presets;
mod service;
#[cfg(test)]
mod tests;
mod validate;

use std::{net::SocketAddr, time::Duration};

#[cfg(feature = "alerting")]
pub(crate) use self::rule_presets::configured_rules;
#[cfg(feature = "alerting")]
pub use self::rule_presets::preset_rules;
pub use self::{preset::Preset, service::ServiceConfig};
#[cfg(feature = "alerting")]
use crate::alerting::{AlertingConfig, ChannelConfig};
use crate::{
    log::LogFormat,
    metrics::{BucketsFor, PrometheusConfig, QueryConfig, RegistryOptions, Side, SinkOptions},
    observation::Mapping,
    settings::ConfigError,
    system::HealthConfig,
    traces::{OtlpConfig, PushConfig, TailConfig, TraceExporter, TracesConfig},
};

/// How an observatory is made.
///
/// ```
/// use llm_observatory::Config;
///
/// let config = Config::default().with_service_name("my-router").with_prefix("my_router_");
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Whether anything is observed at all; off is free. Default: true.
    pub enabled: bool,
    /// Whether threads and server start with `build`; else with `start`. Default: true.
    pub auto_start: bool,
    /// Time between two ticks, which sample the system and keep rates. Default: 10 s.
    pub tick: Duration,
    /// Time that a shutdown may take. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// What is logged by `install`, in the syntax of `RUST_LOG`. A directive that cannot be read is left out, with a
    /// line on standard error: a misspelt log level is no reason not to start. Default: `info`.
    pub log_filter: String,
    /// How log lines are written, with traces or without. Default: pretty.
    pub log_format: LogFormat,
    /// Who is observed.
    pub service: ServiceConfig,
    /// Metrics, and where they are served.
    pub prometheus: PrometheusConfig,
    /// Health, and where it is served.
    pub health: HealthConfig,
    /// What is kept of every series, and what a query may use.
    pub query: QueryConfig,
    /// Which alert rules there are, who is told, where state is kept.
    #[cfg(feature = "alerting")]
    pub alerting: AlertingConfig,
    /// Traces: which are kept, and where they go.
    pub traces: TracesConfig,
    /// Metrics pushed to a Collector, beside being scraped.
    pub push: PushConfig,
    /// Names of the application's own, mapped to names that the Layer knows.
    pub mapping: Mapping,
    /// What was not as it should be, and was left at its default: to be said once there is somebody to say it to.
    pub(crate) notices: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            auto_start: true,
            tick: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            log_filter: "info".to_owned(),
            log_format: LogFormat::Pretty,
            service: ServiceConfig::default(),
            prometheus: PrometheusConfig::default(),
            health: HealthConfig::default(),
            query: QueryConfig::default(),
            #[cfg(feature = "alerting")]
            alerting: AlertingConfig::default(),
            traces: TracesConfig::default(),
            push: PushConfig::default(),
            mapping: Mapping::default(),
            notices: Vec::new(),
        }
    }
}

impl Config {
    /// The preset that `OBSERVATORY_ENV` names (`development` where it is unset), with the environment over it.
    ///
    /// # Errors
    ///
    /// If a variable of ours has a value that cannot be used, or a name that none of ours has.
    pub fn load() -> Result<Self, ConfigError> {
        env::load(&env::Process)
    }

    /// The configuration of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        preset::config(preset)
    }

    /// Sets whether anything is observed at all.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets whether threads and server start with `build`.
    #[must_use]
    pub fn with_auto_start(mut self, auto_start: bool) -> Self {
        self.auto_start = auto_start;
        self
    }

    /// Sets the time between two ticks.
    #[must_use]
    pub fn with_tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Sets what is logged, in the syntax of `RUST_LOG`.
    #[must_use]
    pub fn with_log_filter(mut self, filter: impl Into<String>) -> Self {
        self.log_filter = filter.into();
        self
    }

    /// Sets how `install` writes log lines.
    #[must_use]
    pub fn with_log_format(mut self, format: LogFormat) -> Self {
        self.log_format = format;
        self
    }

    /// Sets `service.name`.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service.name = name.into();
        self
    }

    /// Sets the address of the server; port 0 takes any that is free.
    #[must_use]
    pub fn with_listen(mut self, listen: SocketAddr) -> Self {
        self.prometheus.listen = listen;
        self
    }

    /// Runs no server.
    #[must_use]
    pub fn without_server(mut self) -> Self {
        self.prometheus.enabled = false;
        self
    }

    /// Sets what goes before the names of the seed's metrics.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prometheus.prefix = prefix.into();
        self
    }

    /// Adds a label that every series gets.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.prometheus.labels.insert(name.into(), value.into());
        self
    }

    /// Sets how many series a metric may have.
    #[must_use]
    pub fn with_series_limit(mut self, limit: usize) -> Self {
        self.prometheus.series_limit = limit;
        self
    }

    /// Sets after which time without a change a series is not shown until its next.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.prometheus.idle_timeout = Some(timeout);
        self
    }

    /// Adds buckets for some histograms; the first that match count.
    #[must_use]
    pub fn with_buckets(mut self, which: BucketsFor, upper: impl Into<Vec<f64>>) -> Self {
        self.prometheus.buckets.push((which, upper.into()));
        self
    }

    /// Sets which side of the `GenAI` conventions' metrics the service has; `None` turns them off.
    #[must_use]
    pub fn with_gen_ai(mut self, side: Option<Side>) -> Self {
        self.prometheus.gen_ai = side;
        self
    }

    /// Sets the age at which samples go, and the memory in bytes at which the oldest go.
    #[must_use]
    pub fn with_retention(mut self, time: Duration, bytes: usize) -> Self {
        self.query.retention.time = time;
        self.query.retention.bytes = bytes;
        self
    }

    /// Adds an alert channel, or replaces the one of this name.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_channel(
        mut self,
        name: impl Into<String>,
        channel: impl Into<ChannelConfig>,
    ) -> Self {
        self.alerting.channels.insert(name.into(), channel.into());
        self
    }

    /// Adds an alert rule that is there from the beginning.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_rule(mut self, rule: crate::alerting::AlertRule) -> Self {
        self.alerting.rules.push(rule);
        self
    }

    /// Adds groups of alerting and recording rules that are there from the beginning, such as those of
    /// [`slo_rules`](crate::alerting::slo_rules). Their file, in the status and in errors, is `configuration`.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_rule_groups(
        mut self,
        groups: impl IntoIterator<Item = crate::alerting::RuleGroup>,
    ) -> Self {
        self.alerting.rule_groups.extend(groups);
        self
    }

    /// Adds a file of rules in Prometheus's format.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_rule_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.alerting.rule_files.push(path.into());
        self
    }

    /// Sets where alerts go, in Alertmanager's terms.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_routing(mut self, routing: crate::alerting::Routing) -> Self {
        self.alerting.routing = Some(routing);
        self
    }

    /// Keeps the state of alerts in this directory.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_data_dir(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.alerting.data_dir = Some(directory.into());
        self
    }

    /// Evaluates no alert rules.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn without_alerting(mut self) -> Self {
        self.alerting.enabled = false;
        self
    }

    /// Sets what becomes of spans; this also turns traces on.
    #[must_use]
    pub fn with_traces(mut self, traces: TracesConfig) -> Self {
        self.traces = traces;
        self.traces.enabled = true;
        self
    }

    /// Sets where traces go; this also turns them on.
    #[must_use]
    pub fn with_trace_exporters(mut self, exporters: impl Into<Vec<TraceExporter>>) -> Self {
        self.traces.exporters = exporters.into();
        self.traces.enabled = true;
        self
    }

    /// Sets the share of the traces that begin here and are kept, 0 to 1.
    #[must_use]
    pub fn with_sampling_ratio(mut self, ratio: f64) -> Self {
        self.traces.sampling.ratio = ratio;
        self
    }

    /// Pushes metrics to a Collector by OTLP, at this interval and at the end.
    #[must_use]
    pub fn with_metrics_push(mut self, interval: Duration, otlp: OtlpConfig) -> Self {
        self.push = PushConfig {
            enabled: true,
            interval,
            otlp,
            ..PushConfig::default()
        };
        self
    }

    /// Exports only those traces that tail sampling keeps.
    #[must_use]
    pub fn with_tail_sampling(mut self, tail: TailConfig) -> Self {
        self.traces.tail = Some(tail);
        self
    }

    /// Turns traces off.
    #[must_use]
    pub fn without_traces(mut self) -> Self {
        self.traces.enabled = false;
        self
    }

    /// Maps a span name of the application's to one that the Layer knows.
    #[must_use]
    pub fn with_span_name(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.mapping.spans.insert(yours.into(), known.into());
        self
    }

    /// Maps a field name of the application's to one that the Layer knows.
    #[must_use]
    pub fn with_field_name(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.mapping.fields.insert(yours.into(), known.into());
        self
    }

    /// Checks that everything can be used.
    ///
    /// # Errors
    ///
    /// The first key that cannot, with its value and what would be right.
    pub fn validate(&self) -> Result<(), ConfigError> {
        validate::validate(self)
    }

    pub(crate) fn registry_options(&self) -> RegistryOptions {
        let prometheus = self.prometheus.clone();
        RegistryOptions {
            prefix: prometheus.prefix,
            series_limit: prometheus.series_limit,
            labels: prometheus.labels,
            buckets: prometheus.buckets,
            idle_timeout: prometheus.idle_timeout,
        }
    }

    pub(crate) fn sink_options(&self) -> SinkOptions {
        SinkOptions {
            gen_ai: self.prometheus.gen_ai,
            series_limit: self.prometheus.series_limit,
        }
    }
}
