//! Configuration of the whole crate: plain data with working defaults, composed of the options of all areas.
//!
//! [`Config::load`] starts from the base configuration or a preset (`OBSERVATORY_ENV`), and applies the configuration file
//! and the environment variables; the `with_*` methods override all of them. Each layer is a tree of values with their
//! origins, so an error names the file and line, the variable or the preset, the key, the value and the valid values.

mod compose;
#[cfg(feature = "health")]
mod directories;
mod env;
mod file;
mod preset;
mod report;
#[cfg(feature = "alerting")]
mod rule_presets;
#[cfg(feature = "json-schema")]
mod schema;
mod service;
#[cfg(test)]
mod tests;
mod tree;
mod validate;

use std::{net::SocketAddr, time::Duration};

use self::compose::Loaded;
#[cfg(feature = "health")]
pub(crate) use self::directories::checked_directories;
#[cfg(feature = "alerting")]
pub(crate) use self::rule_presets::configured_rules;
#[cfg(feature = "alerting")]
pub use self::rule_presets::preset_rules;
pub use self::{preset::Preset, report::LoadReport, service::ServiceConfig};
#[cfg(feature = "alerting")]
use crate::alerting::{AlertingConfig, ChannelConfig};
#[cfg(feature = "server")]
use crate::server::ServerConfig;
use crate::{
    health::HealthConfig,
    journal::JournalConfig,
    log::LogFormat,
    metrics::{BucketsFor, PrometheusConfig, QueryConfig, RegistryOptions, Side, SinkOptions},
    observation::Mapping,
    profiler::ProfilerConfig,
    settings::{ConfigError, ConfigProblem, Origin, setters},
    traces::{OtlpConfig, PushConfig, TailConfig, TraceExporter, TracesConfig},
};

/// The configuration of an observatory.
///
/// ```
/// use llm_observatory::Config;
///
/// let config = Config::default().with_service_name("my-router").with_prefix("my_router_");
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// True if anything is observed. A disabled observatory costs nothing. Default: true.
    pub enabled: bool,
    /// True if `build` starts the threads and the server; otherwise `start` does. Default: true.
    pub auto_start: bool,
    /// The interval of ticks, which sample the system and store the series. Default: 10 s.
    pub tick: Duration,
    /// The time limit of a shutdown, at most 1 h. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// The log filter of `install`, in the syntax of `RUST_LOG`. An invalid directive is ignored with a line on
    /// standard error, since a misspelt log level should not prevent the start. Default: `info`.
    pub log_filter: String,
    /// The format of log lines, with and without traces. Default: pretty.
    pub log_format: LogFormat,
    /// The observed service.
    pub service: ServiceConfig,
    /// Options of metrics and of the server.
    pub prometheus: PrometheusConfig,
    /// Hosts, connections and times of the server.
    #[cfg(feature = "server")]
    pub server: ServerConfig,
    /// Options of the health checks, the health report and the system sampler.
    pub health: HealthConfig,
    /// Retention of series, and limits of queries.
    pub query: QueryConfig,
    /// Alert rules, channels, routes, and the storage of their state.
    #[cfg(feature = "alerting")]
    pub alerting: AlertingConfig,
    /// Sampling, redaction and export of traces.
    pub traces: TracesConfig,
    /// Busy, idle and self time of spans.
    pub journal: JournalConfig,
    /// Profiles.
    pub profiler: ProfilerConfig,
    /// Push of metrics to a Collector, in addition to scrapes.
    pub push: PushConfig,
    /// Span and field names of the application, mapped to names that the Layer knows.
    pub mapping: Mapping,
    /// Invalid settings that were replaced by their defaults. They are logged once a subscriber is installed.
    #[serde(skip)]
    pub(crate) notices: Vec<String>,
    /// The layers that the configuration was loaded from.
    #[serde(skip)]
    pub(crate) loaded: Loaded,
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
            #[cfg(feature = "server")]
            server: ServerConfig::default(),
            health: HealthConfig::default(),
            query: QueryConfig::default(),
            #[cfg(feature = "alerting")]
            alerting: AlertingConfig::default(),
            traces: TracesConfig::default(),
            journal: JournalConfig::default(),
            profiler: ProfilerConfig::default(),
            push: PushConfig::default(),
            mapping: Mapping::default(),
            notices: Vec::new(),
            loaded: Loaded::default(),
        }
    }
}

impl Config {
    /// Loads the configuration: the defaults or a preset, the configuration file, and the environment variables.
    ///
    /// The file is the file that `OBSERVATORY_CONFIG` names, or `observatory.yaml` in the working directory if that file
    /// exists. The preset is the preset that `OBSERVATORY_ENV` or the key `preset` of the file names. Without a preset,
    /// the base is [`Config::default`], with traces in the live view and without an exporter, unless
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector. The service has the name in `OTEL_SERVICE_NAME` or in
    /// `OTEL_RESOURCE_ATTRIBUTES`, else the name of the executable.
    ///
    /// # Errors
    ///
    /// Returns every problem with its place: an invalid value, an unknown key of the file, a misspelt variable.
    pub fn load() -> Result<Self, ConfigError> {
        compose::compose(&env::Process, None).into_result()
    }

    /// Loads the configuration as [`Config::load`] does, and returns the problems together with the values.
    #[must_use]
    pub fn load_report() -> LoadReport {
        LoadReport::new(compose::compose(&env::Process, None))
    }

    /// Loads the configuration as [`Config::load_report`] does, with this file instead of the file that the environment
    /// names.
    #[must_use]
    pub fn load_report_from(path: impl Into<std::path::PathBuf>) -> LoadReport {
        LoadReport::new(compose::compose_with(&env::Process, path.into()))
    }

    /// Returns the JSON Schema of the configuration file.
    #[cfg(feature = "json-schema")]
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema::json_schema()
    }

    /// Returns a configuration file in which every key is a comment with its description and its default.
    #[cfg(feature = "json-schema")]
    #[must_use]
    pub fn commented_file() -> String {
        schema::commented_file()
    }

    /// Prints every value with its origin, as a configuration file with comments. Secrets are
    /// comments with `***`.
    #[must_use]
    pub fn print(&self) -> String {
        report::print(self)
    }

    /// Returns the configuration of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        preset::config(preset)
    }

    setters! {
        /// Sets whether anything is observed.
        with_enabled(enabled: bool) { self.enabled = enabled }

        /// Sets whether `build` starts the threads and the server.
        with_auto_start(auto_start: bool) { self.auto_start = auto_start }

        /// Sets the interval of ticks.
        with_tick(tick: Duration) { self.tick = tick }

        /// Sets the log filter, in the syntax of `RUST_LOG`.
        with_log_filter(filter: impl Into<String>) { self.log_filter = filter.into() }

        /// Sets the format of log lines.
        with_log_format(format: LogFormat) { self.log_format = format }

        /// Sets `service.name`.
        with_service_name(name: impl Into<String>) { self.service.name = name.into() }

        /// Sets the address of the server; port 0 selects a free port.
        with_listen(listen: SocketAddr) { self.prometheus.listen = listen }
    }

    /// Sets the names under which clients reach the server, such as `router` or `router:9090`.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn with_allowed_hosts<H: Into<String>>(
        mut self,
        hosts: impl IntoIterator<Item = H>,
    ) -> Self {
        self.server.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Disables the server.
    #[must_use]
    pub fn without_server(mut self) -> Self {
        self.prometheus.enabled = false;
        self
    }

    setters! {
        /// Sets the prefix of the names of the catalog's metrics.
        with_prefix(prefix: impl Into<String>) { self.prometheus.prefix = prefix.into() }

        /// Adds a label to every series.
        with_label(name: impl Into<String>, value: impl Into<String>) {
            self.prometheus.labels.insert(name.into(), value.into())
        }

        /// Sets the maximum number of series of a metric.
        with_series_limit(limit: usize) { self.prometheus.series_limit = limit }

        /// Sets the time after which an unused series is registered anew in the application's own recorder
        /// ([`facade`](crate::ObservatoryBuilder::facade)).
        with_handle_lifetime(lifetime: Duration) { self.prometheus.handle_lifetime = lifetime }

        /// Sets the time after which a series that does not change is hidden until its next change.
        with_idle_timeout(timeout: Duration) { self.prometheus.idle_timeout = Some(timeout) }

        /// Adds buckets for some histograms. The first entry that matches a histogram applies.
        with_buckets(which: BucketsFor, upper: impl Into<Vec<f64>>) {
            self.prometheus.buckets.push((which, upper.into()))
        }

        /// Sets the side, client or server, of the `GenAI` conventions' metrics that are recorded; `None` disables them.
        with_gen_ai(side: Option<Side>) { self.prometheus.gen_ai = side }
    }

    /// Sets the age at which samples are deleted, and the memory in bytes at which the oldest samples are deleted.
    #[must_use]
    pub fn with_retention(mut self, time: Duration, bytes: usize) -> Self {
        self.query.retention.time = time;
        self.query.retention.bytes = bytes;
        self
    }

    setters! {
        /// Adds an alert channel, or replaces the channel with this name.
        #[cfg(feature = "alerting")]
        with_channel(name: impl Into<String>, channel: impl Into<ChannelConfig>) {
            self.alerting.channels.insert(name.into(), channel.into())
        }

        /// Adds an alert rule to those that exist from the start.
        #[cfg(feature = "alerting")]
        with_rule(rule: crate::alerting::AlertRule) { self.alerting.rules.push(rule) }

        /// Adds groups of alerting and recording rules to those that exist from the start, such as the groups of
        /// [`slo_rules`](crate::alerting::slo_rules). The status and errors show their file as `configuration`.
        #[cfg(feature = "alerting")]
        with_rule_groups(groups: impl IntoIterator<Item = crate::alerting::RuleGroup>) {
            self.alerting.rule_groups.extend(groups)
        }

        /// Adds a rule file in Prometheus's format.
        #[cfg(feature = "alerting")]
        with_rule_file(path: impl Into<std::path::PathBuf>) {
            self.alerting.rule_files.push(path.into())
        }
    }

    /// Adds files of templates that the templates of all channels can call, as in Alertmanager's `templates`; `*` and
    /// `?` match within one component of a path.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn with_template_files<P: Into<std::path::PathBuf>>(
        mut self,
        paths: impl IntoIterator<Item = P>,
    ) -> Self {
        let paths = paths.into_iter().map(Into::into);
        self.alerting.template_files.extend(paths);
        self
    }

    setters! {
        /// Sets the routing tree of alerts, as in Alertmanager.
        #[cfg(feature = "alerting")]
        with_routing(routing: crate::alerting::Routing) { self.alerting.routing = Some(routing) }

        /// Sets the directory in which the state of alerts is stored.
        #[cfg(feature = "alerting")]
        with_data_dir(directory: impl Into<std::path::PathBuf>) {
            self.alerting.data_dir = Some(directory.into())
        }
    }

    /// Disables alert rules.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn without_alerting(mut self) -> Self {
        self.alerting.enabled = false;
        self
    }

    /// Sets the options of traces; this also enables traces.
    #[must_use]
    pub fn with_traces(mut self, traces: TracesConfig) -> Self {
        self.traces = traces;
        self.traces.enabled = true;
        self
    }

    /// Sets the exporters of traces; this also enables traces.
    #[must_use]
    pub fn with_trace_exporters(mut self, exporters: impl Into<Vec<TraceExporter>>) -> Self {
        self.traces.exporters = exporters.into();
        self.traces.enabled = true;
        self
    }

    /// Sets the share of sampled traces among those that start in this process, 0 to 1.
    #[must_use]
    pub fn with_sampling_ratio(mut self, ratio: f64) -> Self {
        self.traces.sampling.ratio = ratio;
        self
    }

    /// Pushes metrics to a Collector over OTLP, at this interval and at shutdown.
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

    /// Exports only the traces that tail sampling keeps.
    #[must_use]
    pub fn with_tail_sampling(mut self, tail: TailConfig) -> Self {
        self.traces.tail = Some(tail);
        self
    }

    /// Disables traces.
    #[must_use]
    pub fn without_traces(mut self) -> Self {
        self.traces.enabled = false;
        self
    }

    setters! {
        /// Maps a span name of the application to a name that the Layer knows.
        with_span_name(yours: impl Into<String>, known: impl Into<String>) {
            self.mapping.spans.insert(yours.into(), known.into())
        }

        /// Maps a field name of the application to a name that the Layer knows.
        with_field_name(yours: impl Into<String>, known: impl Into<String>) {
            self.mapping.fields.insert(yours.into(), known.into())
        }
    }

    /// Checks that all values are valid.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid key, its value and the valid values.
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
            masks: self.traces.redaction.masks,
        }
    }

    pub(crate) fn sink_options(&self) -> SinkOptions {
        SinkOptions {
            gen_ai: self.prometheus.gen_ai,
            series_limit: self.prometheus.series_limit,
            masks: self.traces.redaction.masks,
            handle_lifetime: self.prometheus.handle_lifetime,
        }
    }
}
