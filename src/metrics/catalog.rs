//! The catalog of metrics: name, kind, unit, help and buckets of every metric that this crate records.
//!
//! The prefixed metrics have the names, labels and buckets of the JavaScript monitoring system that this crate replaces.
//! The others follow the OpenTelemetry `GenAI` semantic conventions v1.41.1 in their Prometheus form and the Prometheus
//! client guidelines (`process_*`), or describe the observatory itself (`observatory_*`).

use crate::observation::TokenDetail;

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A value that only rises.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// A distribution over fixed buckets.
    Histogram,
}

impl MetricKind {
    /// Returns the name of the kind in `# TYPE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric of the catalog.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The name without the configured prefix.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The help text, with the unit.
    pub help: &'static str,
    /// Ascending upper bounds of a histogram's buckets, without `+Inf`; empty for counters and gauges.
    pub buckets: &'static [f64],
    /// True if the full name starts with the configured prefix.
    pub is_prefixed: bool,
}

impl Metric {
    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: MetricKind::Counter,
            help,
            buckets: &[],
            is_prefixed: true,
        }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: MetricKind::Gauge,
            help,
            buckets: &[],
            is_prefixed: true,
        }
    }

    const fn histogram(name: &'static str, help: &'static str, buckets: &'static [f64]) -> Self {
        Self {
            name,
            kind: MetricKind::Histogram,
            help,
            buckets,
            is_prefixed: true,
        }
    }

    const fn as_is(mut self) -> Self {
        self.is_prefixed = false;
        self
    }

    /// Returns the full name.
    #[must_use]
    pub fn full_name(&self, prefix: &str) -> String {
        if self.is_prefixed {
            format!("{prefix}{}", self.name)
        } else {
            self.name.to_owned()
        }
    }
}

const HTTP_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0];
const BODY_BYTES: &[f64] = &[100.0, 1e3, 1e4, 1e5, 1e6];
const INFERENCE_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
const LOADING_SECONDS: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// The buckets of the replaced system, and 1000, 2000, 5000: today's engines exceed 500.
const TOKENS_PER_SECOND_BUCKETS: &[f64] = &[
    1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0,
];
const SHARES: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const SELECTION_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
/// Buckets of `gen_ai.server.time_to_first_token` in the conventions.
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Buckets of `gen_ai.server.time_per_output_token` in the conventions, and three smaller buckets for fast engines.
const PER_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
/// 0.01·2ⁿ: the conventions' buckets for durations.
const GEN_AI_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// 4ⁿ: the conventions' buckets for tokens.
const GEN_AI_TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// The conventions' buckets for durations of HTTP requests and remote procedure calls.
const CONVENTION_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const HEALTH_SECONDS: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
const TICK_SECONDS: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// Buckets of an application's histogram without configured ones: those of the Prometheus clients.
pub const DEFAULT_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

macro_rules! catalog {
    ($($constant:ident = $metric:expr;)*) => {
        $(pub(crate) const $constant: Metric = $metric;)*

        /// Every metric of the catalog.
        pub const CATALOG: &[Metric] = &[$($constant,)*];
    };
}

catalog! {
    HTTP_REQUESTS = Metric::counter("http_requests_total", "HTTP requests served, by method, route and status code.");
    HTTP_DURATION = Metric::histogram("http_request_duration_seconds", "Time from an HTTP request to the end of its response body, in seconds.", HTTP_SECONDS);
    HTTP_REQUEST_SIZE = Metric::histogram("http_request_size_bytes", "Size of HTTP request bodies, in bytes.", BODY_BYTES);
    HTTP_RESPONSE_SIZE = Metric::histogram("http_response_size_bytes", "Size of HTTP response bodies, in bytes.", BODY_BYTES);

    HTTP_SERVER_DURATION = Metric::histogram("http_server_request_duration_seconds", "Duration of HTTP server requests, in seconds.", CONVENTION_SECONDS).as_is();
    HTTP_SERVER_ACTIVE = Metric::gauge("http_server_active_requests", "HTTP server requests in flight.").as_is();
    HTTP_CLIENT_DURATION = Metric::histogram("http_client_request_duration_seconds", "Duration of HTTP client requests, in seconds.", CONVENTION_SECONDS).as_is();
    HTTP_CLIENT_ACTIVE = Metric::gauge("http_client_active_requests", "HTTP client requests in flight.").as_is();
    HTTP_CLIENT_REQUEST_SIZE = Metric::histogram("http_client_request_body_size_bytes", "Size of HTTP client request bodies, in bytes.", BODY_BYTES).as_is();
    HTTP_CLIENT_RESPONSE_SIZE = Metric::histogram("http_client_response_body_size_bytes", "Size of HTTP client response bodies, in bytes.", BODY_BYTES).as_is();
    RPC_SERVER_DURATION = Metric::histogram("rpc_server_call_duration_seconds", "Duration of incoming remote procedure calls, in seconds.", CONVENTION_SECONDS).as_is();
    RPC_CLIENT_DURATION = Metric::histogram("rpc_client_call_duration_seconds", "Duration of outgoing remote procedure calls, in seconds.", CONVENTION_SECONDS).as_is();
    GRPC_MESSAGES = Metric::counter("grpc_messages_total", "gRPC messages, by method, side (server, client) and direction (received, sent).");

    INFERENCES = Metric::counter("model_inference_total", "Inferences that ended, by model and status (success, error, timeout, cancelled).");
    INFERENCE_DURATION = Metric::histogram("model_inference_duration_seconds", "Time from an inference's start to its end, in seconds.", INFERENCE_SECONDS);
    LOADING_DURATION = Metric::histogram("model_loading_duration_seconds", "Time to load a model, in seconds.", LOADING_SECONDS);
    TOKENS_GENERATED = Metric::counter("tokens_generated_total", "Output tokens generated.");
    TOKENS_PER_SECOND = Metric::histogram("tokens_per_second", "Output tokens of an inference over its duration, in tokens per second.", TOKENS_PER_SECOND_BUCKETS);
    TIME_TO_FIRST_TOKEN = Metric::histogram("time_to_first_token_seconds", "Time from an inference's start to its first content token, in seconds.", FIRST_TOKEN_SECONDS);
    TIME_PER_OUTPUT_TOKEN = Metric::histogram("time_per_output_token_seconds", "Mean time between the output tokens of an inference after its first, in seconds.", PER_TOKEN_SECONDS);
    QUEUE_DURATION = Metric::histogram("model_queue_duration_seconds", "Time an inference waited for its engine, in seconds.", FIRST_TOKEN_SECONDS);
    ACTIVE_INFERENCES = Metric::gauge("active_inferences", "Inferences in flight.");
    PROMPT_TOKENS = Metric::counter("prompt_tokens_total", "Prompt tokens read.");
    CACHED_TOKENS = Metric::counter("cached_tokens_total", "Prompt tokens that came from the provider's prompt cache.");
    TOKEN_SOURCE = Metric::counter("token_source_total", "Inferences by where their output token count comes from (provider, counted, estimated).");

    ACTIVE_CONNECTIONS = Metric::gauge("active_connections", "Open connections, by type.");
    LOADED_MODELS = Metric::gauge("loaded_models", "Models that are loaded, by type.");
    MEMORY_USAGE = Metric::gauge("memory_usage_bytes", "Memory in use, in bytes: the process's rss and virtual, the machine's (or cgroup's) system_used and system_total.");
    ERRORS = Metric::counter("errors_total", "Errors, by class and component.");
    ERROR_RATE = Metric::gauge("error_rate", "Errors per second over the last minute, by component.");

    CACHE_OPERATIONS = Metric::counter("cache_operations_total", "Cache operations, by status (hit, miss, error).");
    CACHE_DURATION = Metric::histogram("cache_operation_duration_seconds", "Duration of cache operations, in seconds.", HTTP_SECONDS);
    CACHE_HIT_RATIO = Metric::gauge("cache_hit_ratio", "Hits over hits and misses in the last minute that had any, 0 to 1.");
    CACHE_SIZE = Metric::gauge("cache_size_bytes", "Size of a cache, in bytes.");
    DATABASE_DURATION = Metric::histogram("database_operation_duration_seconds", "Duration of database operations, in seconds.", HTTP_SECONDS);
    QUEUE_OPERATION_DURATION = Metric::histogram("queue_operation_duration_seconds", "Duration of queue operations, in seconds.", HTTP_SECONDS);

    QUALITY_SCORE = Metric::gauge("model_quality_score", "Quality of a model's answers, 0 to 1.");
    RESPONSE_SIMILARITY = Metric::histogram("response_similarity", "Similarity of the answers of two models, 0 to 1.", SHARES);
    ROUTING_DECISIONS = Metric::counter("routing_decisions_total", "Routing decisions, by strategy, chosen model and reason.");
    SELECTION_DURATION = Metric::histogram("route_selection_duration_seconds", "Time to choose a model, in seconds.", SELECTION_SECONDS);

    GEN_AI_CLIENT_DURATION = Metric::histogram("gen_ai_client_operation_duration_seconds", "GenAI operation duration, in seconds.", GEN_AI_SECONDS).as_is();
    GEN_AI_CLIENT_TOKEN_USAGE = Metric::histogram("gen_ai_client_token_usage", "Number of input and output tokens used.", GEN_AI_TOKENS).as_is();
    GEN_AI_CLIENT_FIRST_CHUNK = Metric::histogram("gen_ai_client_operation_time_to_first_chunk_seconds", "Time to receive the first chunk of a streamed GenAI operation, in seconds.", GEN_AI_SECONDS).as_is();
    GEN_AI_CLIENT_PER_CHUNK = Metric::histogram("gen_ai_client_operation_time_per_output_chunk_seconds", "Time between the chunks of a streamed GenAI operation, in seconds.", GEN_AI_SECONDS).as_is();
    GEN_AI_SERVER_DURATION = Metric::histogram("gen_ai_server_request_duration_seconds", "GenAI server request duration, in seconds.", GEN_AI_SECONDS).as_is();
    GEN_AI_SERVER_FIRST_TOKEN = Metric::histogram("gen_ai_server_time_to_first_token_seconds", "Time to generate the first token, in seconds.", FIRST_TOKEN_SECONDS).as_is();
    GEN_AI_SERVER_PER_TOKEN = Metric::histogram("gen_ai_server_time_per_output_token_seconds", "Time per output token after the first, in seconds.", PER_TOKEN_SECONDS).as_is();

    PROCESS_CPU = Metric::counter("process_cpu_seconds_total", "User and system CPU time of the process, in seconds.").as_is();
    PROCESS_RESIDENT = Metric::gauge("process_resident_memory_bytes", "Resident memory of the process, in bytes.").as_is();
    PROCESS_VIRTUAL = Metric::gauge("process_virtual_memory_bytes", "Virtual memory of the process, in bytes.").as_is();
    PROCESS_OPEN_FDS = Metric::gauge("process_open_fds", "Open file descriptors of the process.").as_is();
    PROCESS_MAX_FDS = Metric::gauge("process_max_fds", "File descriptors that the process may open.").as_is();
    PROCESS_START_TIME = Metric::gauge("process_start_time_seconds", "Start of the process, in seconds since the Unix epoch.").as_is();
    PROCESS_THREADS = Metric::gauge("process_threads", "Threads of the process.").as_is();
    SYSTEM_CPU_USAGE = Metric::gauge("system_cpu_usage_ratio", "CPU in use on the machine, 0 to 1 over all cores.").as_is();
    SYSTEM_CPU_CORES = Metric::gauge("system_cpu_cores", "Logical CPU cores of the machine.").as_is();
    SYSTEM_MEMORY = Metric::gauge("system_memory_bytes", "Memory of the machine, or of the process's cgroup where that is less, by state (used, total), in bytes.").as_is();
    SYSTEM_SWAP = Metric::gauge("system_swap_bytes", "Swap of the machine, by state (used, total), in bytes.").as_is();
    SYSTEM_DISK = Metric::gauge("system_disk_bytes", "Disk space by mount point and state (used, total), in bytes.").as_is();
    SYSTEM_NETWORK_RECEIVED = Metric::counter("system_network_receive_bytes_total", "Bytes received, by network interface.").as_is();
    SYSTEM_NETWORK_SENT = Metric::counter("system_network_transmit_bytes_total", "Bytes sent, by network interface.").as_is();
    CGROUP_CPU_LIMIT = Metric::gauge("system_cgroup_cpu_limit_cores", "CPU limit of the process's cgroup, in cores; absent without a limit.").as_is();
    CGROUP_CPU_THROTTLED = Metric::counter("system_cgroup_cpu_throttled_seconds_total", "Time for which the CPU limit of the process's cgroup has stopped it, in seconds; absent without a limit.").as_is();
    SYSTEM_LOAD = Metric::gauge("system_load_average", "Load average of the machine, by period (1m, 5m, 15m).").as_is();

    HEALTH_STATUS = Metric::gauge("observatory_health_status", "State of a health check: 1 healthy, 0.5 degraded, 0 unhealthy; absent before the first result, NaN after the removal of the check.").as_is();
    HEALTH_RUNS = Metric::counter("observatory_health_runs_total", "Runs of a health check, by result (healthy, degraded, unhealthy, not_run).").as_is();
    HEALTH_DURATION = Metric::histogram("observatory_health_run_duration_seconds", "Duration of the runs of a health check, retries included, in seconds.", HEALTH_SECONDS).as_is();

    GPU_MEMORY = Metric::gauge("gpu_memory_usage_bytes", "Memory of a GPU in use, in bytes.");
    GPU_MEMORY_TOTAL = Metric::gauge("gpu_memory_total_bytes", "Memory of a GPU, in bytes.");
    GPU_LOAD = Metric::gauge("gpu_load_ratio", "Share of the driver's last sample period in which a kernel ran on a GPU, 0 to 1.");
    GPU_TEMPERATURE = Metric::gauge("gpu_temperature_celsius", "Temperature of a GPU, in degrees Celsius.");

    TOKIO_WORKERS = Metric::gauge("tokio_workers", "Worker threads of a tokio runtime: the runtime that the observatory was started in, or a registered runtime, by its name.").as_is();
    TOKIO_BUSY = Metric::counter("tokio_worker_busy_seconds_total", "Time that a worker of the runtime was busy, in seconds.").as_is();
    TOKIO_BUSY_RATIO = Metric::gauge("tokio_busy_ratio", "Share of the time since the last tick that the runtime's workers were busy, 0 to 1.").as_is();
    TOKIO_PARKS = Metric::counter("tokio_worker_parks_total", "Times that a worker of the runtime parked.").as_is();
    TOKIO_PARKS_AND_UNPARKS = Metric::counter("tokio_worker_parks_and_unparks_total", "Times that a worker of the runtime parked or unparked; odd while the worker is parked.").as_is();
    TOKIO_TASKS = Metric::gauge("tokio_alive_tasks", "Tasks that are alive in the runtime.").as_is();
    TOKIO_QUEUE = Metric::gauge("tokio_global_queue_depth", "Tasks that wait in the runtime's global queue.").as_is();

    OBSERVATIONS = Metric::counter("observatory_observations_total", "Observations recorded, by kind.").as_is();
    DROPPED_OBSERVATIONS = Metric::counter("observatory_dropped_observations_total", "Observations, or parts of one, that could not be used, by reason.").as_is();
    SERIES = Metric::gauge("observatory_series", "Series of a metric.").as_is();
    SERIES_OVERFLOWED = Metric::counter("observatory_series_overflowed_total", "Times a series was refused because its metric had reached its limit, and folded into the overflow series.").as_is();
    RULE_EVALUATIONS = Metric::counter("observatory_rule_evaluations_total", "Evaluations of alert and recording rules.").as_is();
    RULE_FAILURES = Metric::counter("observatory_rule_evaluation_failures_total", "Evaluations of rules that failed.").as_is();
    RULE_DURATION = Metric::histogram("observatory_rule_evaluation_duration_seconds", "Duration of a round of rule evaluations, in seconds.", TICK_SECONDS).as_is();
    ALERTS_NOW = Metric::gauge("observatory_alerts", "Alerts of rules, by state (pending, firing).").as_is();
    OUTBOX_DEPTH = Metric::gauge("observatory_outbox_depth", "Notifications that no receiver has accepted yet.").as_is();
    ALERT_STORE_DEGRADED = Metric::gauge("observatory_alert_store_degraded", "1 while alert state is in memory only, because the data directory cannot be written; else 0.").as_is();
    ALERT_STORE_FAILURES = Metric::counter("observatory_alert_store_failures_total", "Times that alert state could not be written to disk, and was kept in memory only.").as_is();
    NOTIFICATIONS_SENT = Metric::counter("observatory_notifications_sent_total", "Notifications that the peer accepted, by channel.").as_is();
    NOTIFICATIONS_FAILED = Metric::counter("observatory_notifications_failed_total", "Notifications that were given up, by channel and reason of the last failure.").as_is();
    NOTIFIER_HANGS = Metric::counter("observatory_notifier_hangs_total", "Attempts that a notifier of the application did not return from within the time limit, by channel.").as_is();
    NOTIFICATIONS_SUPPRESSED = Metric::counter("observatory_notifications_suppressed_total", "Alerts that were kept back from notifications, by reason.").as_is();
    PEER_ALERTS_SENT = Metric::counter("observatory_alertmanager_alerts_sent_total", "Alerts that an Alertmanager accepted.").as_is();
    PEER_ALERTS_DROPPED = Metric::counter("observatory_alertmanager_alerts_dropped_total", "Alerts that an Alertmanager refused, or for which its queue had no room.").as_is();
    PEER_REQUESTS_FAILED = Metric::counter("observatory_alertmanager_requests_failed_total", "Requests to an Alertmanager that failed.").as_is();
    STORE_SERIES = Metric::gauge("observatory_store_series", "Series in the series store.").as_is();
    STORE_SAMPLES = Metric::gauge("observatory_store_samples", "Samples in the series store.").as_is();
    STORE_BYTES = Metric::gauge("observatory_store_bytes", "Memory of the series store, labels and index by estimate, in bytes.").as_is();
    STORE_EVICTED = Metric::counter("observatory_store_evicted_samples_total", "Samples that went before their time because the series store had used its memory up.").as_is();
    STORE_REFUSED = Metric::counter("observatory_store_refused_samples_total", "Samples that the series store refused because they were not later than the one before.").as_is();
    QUERY_BYTES = Metric::gauge("observatory_query_bytes", "Memory of the queries of clients that are under way, answers included, in bytes.").as_is();
    SERVER_CONNECTIONS = Metric::gauge("observatory_server_connections", "Open connections of the server.").as_is();
    SERVER_MAX_CONNECTIONS = Metric::gauge("observatory_server_max_connections", "Connections at which the server closes the one that has waited longest.").as_is();
    SERVER_REFUSED = Metric::counter("observatory_server_refused_requests_total", "Requests that the server refused, by reason (query_bytes, busy, body_timeout, body_size, host, origin).").as_is();
    SERVER_CLOSED = Metric::counter("observatory_server_closed_connections_total", "Connections that the server closed before their time, by reason (limit, read_timeout, write_timeout, scrape_stalled).").as_is();
    SPANS = Metric::counter("observatory_spans_total", "Spans of sampled traces, by exporter and by what became of them (exported, sampled_out, dropped, failed).").as_is();
    DROPPED_SPANS = Metric::counter("observatory_dropped_spans_total", "Spans that an exporter was not given, by reason (queue_full, tail_overflow, shutdown).").as_is();
    LOG_RECORDS = Metric::counter("observatory_log_records_total", "Log records, by what became of them (exported, dropped, failed).").as_is();
    PUSHES = Metric::counter("observatory_metric_pushes_total", "Pushes of every series to a Collector, by result (success, partial: some points were rejected, failure).").as_is();
    EXPORT_DURATION = Metric::histogram("observatory_export_duration_seconds", "Time to export a batch of spans, with every retry, in seconds.", DEFAULT_BUCKETS).as_is();
    BUNDLED_ROOT_CLIENTS = Metric::gauge("observatory_bundled_root_clients", "HTTPS clients of the process that trust Mozilla's bundled root certificates, because the system has no usable ones.").as_is();
    HIDDEN_SPAN_KINDS = Metric::gauge("observatory_hidden_span_kinds", "Kinds of span that a filter of the subscriber hides from the Layer, unless the filter names their target.").as_is();
    TICK_DURATION = Metric::histogram("observatory_collector_tick_duration_seconds", "Duration of the collector's ticks, in seconds.", TICK_SECONDS).as_is();
    CLOCK_STEPS = Metric::counter("observatory_clock_steps_total", "Steps of the wall clock: differences of at least half a second to the monotonic clock.").as_is();
    CLOCK_LAST_STEP = Metric::gauge("observatory_clock_last_step_seconds", "The last step of the wall clock, negative if backwards, in seconds.").as_is();
    RUNTIME_BLOCKED = Metric::gauge("observatory_runtime_blocked_seconds", "Time for which the worker or thread that has stood still longest is blocked or stalled, in seconds; 0 if none is.").as_is();
    WATCHDOG_STUCK = Metric::gauge("observatory_watchdog_stuck_threads", "Workers and threads of the application's runtimes that make no progress, by condition (starved, stalled, blocked).").as_is();
    WATCHDOG_FINDINGS = Metric::counter("observatory_watchdog_findings_total", "Times that a worker or thread was found without progress, by condition (starved, stalled, blocked).").as_is();
    WATCHDOG_LATE = Metric::counter("observatory_watchdog_late_ticks_total", "Ticks at which the watchdog itself was late, and judged nothing.").as_is();
    OBSERVATORY_CPU = Metric::counter("observatory_cpu_seconds_total", "CPU time of the observatory's own threads, in seconds.").as_is();
    BUILD_INFO = Metric::gauge("observatory_build_info", "1; its labels say the version of llm-observatory and the service it watches.").as_is();
}

/// Returns the counter of a token count beside input and output.
pub(crate) const fn token_detail(detail: TokenDetail) -> &'static Metric {
    match detail {
        TokenDetail::Cached => &CACHED_TOKENS,
    }
}

/// Returns the histograms of the catalog: full names and buckets, for the recorder of an application (see
/// [`FacadeSink`](super::FacadeSink)).
pub fn histograms(prefix: &str) -> impl Iterator<Item = (String, &'static [f64])> {
    CATALOG
        .iter()
        .filter(|metric| metric.kind == MetricKind::Histogram)
        .map(move |metric| (metric.full_name(prefix), metric.buckets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut names = std::collections::HashSet::new();
        for metric in CATALOG {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            assert_eq!(
                metric.kind == MetricKind::Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn buckets_ascend_and_only_histograms_have_them() {
        for metric in CATALOG {
            assert_eq!(
                metric.kind == MetricKind::Histogram,
                !metric.buckets.is_empty(),
                "{}",
                metric.name
            );
            assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
        }
    }
}
