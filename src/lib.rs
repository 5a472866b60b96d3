//! Annotate once with `#[instrument]`; get correct metrics for services that route or serve LLM inference.
//!
//! A Layer for [`tracing_subscriber`] interprets the spans and events of your service (an `inference` span
//! with token fields, say) and turns them into Prometheus metrics: inferences by model and outcome, tokens, time
//! to first token, time per token, what is in flight, the `GenAI` conventions' metrics beside them. Streams that a
//! client abandons are counted as cancelled, with the tokens they had sent.
//!
//! ```no_run
//! use llm_observatory::{Config, Observatory};
//! use tracing::{Span, field::Empty, instrument};
//!
//! #[instrument(name = "inference", skip_all, fields(model_id = "gpt-4o", engine = "openai", tokens, status = Empty))]
//! fn generate(prompt: &str) -> String {
//!     let answer = prompt.to_uppercase();
//!     Span::current().record("tokens", answer.split(' ').count());
//!     Span::current().record("status", "success");
//!     answer
//! }
//!
//! let observatory = Observatory::install(Config::load()?)?; // http://127.0.0.1:9090/metrics
//! generate("What does a monitoring system do?");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The ladder
//!
//! | You have | Use |
//! |---|---|
//! | nothing yet | [`Observatory::install`]: subscriber, log, recorder, server, threads |
//! | a subscriber of your own | [`Observatory::builder`]: a Layer to put into it |
//! | a `metrics` recorder of your own | [`ObservatoryBuilder::facade`]: metrics into that recorder, alerts kept; without alerts and threads, [`ObservatoryLayer`] with a [`FacadeSink`] |
//! | somewhere else to put it | [`ObservatoryLayer`] with a [`Sink`] of your own, or an [`FnSink`] |
//! | no spans | [`Observatory::record_inference`] and its neighbours |
//!
//! # Spans, fields and events
//!
//! | Span | Fields |
//! |---|---|
//! | `inference`, `model_inference`, or any with `gen_ai.operation.name` | `model_id`, `model_type`, `engine`; `tokens` / `token_count` / `completion_tokens` / `output_tokens`, `prompt_tokens` / `input_tokens`, `cached_tokens`, `token_source`; `status`, `streaming`, `queue_seconds`, `error.type`; `gen_ai.*`, `llm.*` |
//! | `model_load`, `model_unload` | `model_id`, `model_type`, `engine` |
//! | `http_request`, or any with `http.request.method` | `method`, `route`, `status_code`, `request_size`, `response_size`; `http.*`, `url.scheme`; with `otel.kind = "client"` also `peer.service` |
//! | `grpc_request` | `rpc.method`, `rpc.response.status_code`, `rpc.messages.received`, `rpc.messages.sent`; those of `http_request` |
//! | `cache` | `operation`, `cache_type`, `hit` |
//! | `db_query`, `database-query`, or any with `db.operation.name` | `operation`, `table`; `db.*` |
//! | `queue` | `queue`, `operation` |
//! | `route_selection` | `strategy`, `selected_model`, `reason` |
//! | `connection` | `connection_type` |
//!
//! A span's field `observatory.kind` says what it is, whatever its name; `observatory.ended = true`, recorded, that
//! what it watched is over, though a clone of it or a task begun inside it lives on. Fields may be given at creation or
//! recorded later, as any type; names of your own are mapped with [`Config::with_span_name`] and
//! [`Config::with_field_name`].
//!
//! A span **failed** if it recorded `status = "error"`, an `error` or `error.type` field, if an ERROR event came
//! inside it (`#[instrument(err)]` does that) or a panic unwound through it. A span that declares `status` and
//! closes without one was **cancelled**: that is what a dropped future looks like.
//!
//! Events: `first_token` and `token` (with a `count`) inside an inference; `cache_size` (`cache_type`, `bytes`);
//! `model_quality` (`score`); `response_similarity` (`comparison_model`, `similarity`); and metric events,
//! `info!(monotonic_counter.jobs = 1, kind = "import")`, also `counter.`, `gauge.` and `histogram.`; and alerts:
//! `alert.rule = "name"` (with `alert.severity`, a message, labels) raises one, `alert.resolve = "name"` takes it back. An event is
//! known by its name (`info!(name: "token", count = 1)`) or by its message (`info!("token")`).
//!
//! Wrappers that open the right spans, and end them once, are in [`instrument`]: calls of models, streams of tokens,
//! databases, caches, queues. HTTP and gRPC, served and called, are in `middleware`.
//!
//! # Features
//!
//! | Feature | Gives | Default |
//! |---|---|---|
//! | (none) | Layer, observations, registry, exposition, [`FacadeSink`] | |
//! | `server` | `/metrics`, `/health` and `/status` on a port of their own | yes |
//! | `health` | process and machine metrics; health checks, their groups and endpoints; the watchdog of blocked runtimes (`health`) | yes |
//! | `alerting` | a series store, `PromQL` with the semantics of Prometheus 3 (`query`), alert rules and notifications (`alerting`), Prometheus's HTTP API | yes |
//! | `config-file` | the configuration file `observatory.yaml` | yes |
//! | `gpu` | memory, load and temperature of NVIDIA GPUs | no |
//! | `email` | alerts by e-mail | no |
//! | `otlp` | traces: sampling, redaction, OTLP over gRPC and HTTP, the console, [`propagation`] | no |
//! | `http` | `middleware` for tower and axum servers, for `reqwest` and tower clients | no |
//! | `grpc` | `middleware` for tonic servers and clients | no |
//! | `jaeger` | Jaeger's Thrift over HTTP, for collectors older than its OTLP | no |
//! | `zipkin` | Zipkin v2 JSON | no |
//! | `profiling` | CPU profiles and flame graphs, on Linux | no |
//! | `json-schema` | the JSON Schema of the configuration file, and a commented file | no |
//! | `full` | all of them but `json-schema`, which is for tools | no |
//!
//! # Architecture
//!
//! ```text
//! #[instrument] spans, events          record_*()
//!             └─► Layer ─► Observation ◄─┘
//!                              └─► Sink ─► registry ◄─ metrics::counter!(…)
//!                                             ├─► /metrics
//!                                             └─► tick ─► series store ─► PromQL ─► query(…), /api/v1/…
//!                                                                           └─► rules ─► groups ─► outbox ─► channels
//! ```
//!
//! The crate consists of areas, one folder of `src/` each. A file imports only from its own area and from areas below
//! it; `tests/it/architecture.rs` checks this.
//!
//! | Area | Purpose |
//! |---|---|
//! | `observatory` | composes the areas: installs, starts and stops one observatory |
//! | `config` | loads a configuration: presets, environment variables, checks across areas |
//! | `server` | serves metrics, status, queries, alerts and traces over HTTP |
//! | `profiler` | records profiles of the process |
//! | `health` | runs health checks, and answers health questions from their last results |
//! | `alerting` | evaluates alert rules; groups, routes and delivers notifications |
//! | `middleware` | observes HTTP and gRPC requests, on servers and clients |
//! | `instrument` | wraps calls of models, databases, caches and queues in spans |
//! | `layer` | interprets spans and events as observations |
//! | `traces` | samples spans, redacts them and exports them to collectors |
//! | `journal` | measures busy, idle and self time of spans |
//! | `log` | formats log lines |
//! | `system` | samples the process and the machine |
//! | `metrics` | stores metrics and writes them in the exposition formats; copies them into the series store |
//! | `query` | re-exports the crate `promql-engine`: stores series and evaluates `PromQL` |
//! | `net` | connects to remote servers over HTTP |
//! | `privacy` | redacts text before it leaves the process |
//! | `settings` | parses and checks values of options |
//! | `observation` | defines observations, labels and sinks |
//! | `runtime` | provides clocks, threads and random numbers |
//!
//! Invariants:
//!
//! - `observation` depends neither on `tracing` nor on an exporter. Only `layer`, `instrument`, `middleware`, `journal`, `log`,
//!   `traces` and `observatory` use spans.
//! - Metrics do not depend on the sampling of traces. Every span of a sampled trace is exported, or counted as dropped
//!   or failed. Prompts and completions do not leave the process unless the configuration allows it.
//! - A sink never blocks and never emits a span or an event. It does not allocate once its series exist. Dropped
//!   observations are counted.
//! - The Layer never disables a callsite (tokio-rs/tracing#2519), and holds no lock while it calls the application's
//!   code.
//! - The observatory runs on threads of its own, which the Layer does not observe: one serves requests, one samples and
//!   evaluates rules, one runs health checks, one watches the application's runtimes, one delivers notifications, and one
//!   exports traces. A slow evaluation delays no notification, and a slow receiver delays no evaluation. A health check that hangs delays no other.
//! - Labels are bounded: every metric has a limit of series, with a visible overflow series. Prompts, completions, user
//!   ids and request ids are never labels.
//! - Logic takes the time as an argument. Only `config` reads the environment. Only `install` changes global state.

#![cfg_attr(
    test,
    expect(clippy::float_cmp, reason = "counts and sums of these are exact")
)]

#[cfg(feature = "alerting")]
pub mod alerting;
mod config;
pub mod health;
pub mod instrument;
mod journal;
mod layer;
mod log;
mod metrics;
#[cfg(any(feature = "http", feature = "grpc"))]
pub mod middleware;
mod net;
mod observation;
mod observatory;
mod privacy;
mod profiler;
mod runtime;
#[cfg(feature = "server")]
mod server;
mod settings;
mod system;
mod traces;

#[cfg(feature = "alerting")]
pub use promql_engine as query;

#[cfg(feature = "alerting")]
pub use crate::config::preset_rules;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub use crate::net::ClientError;
#[cfg(feature = "alerting")]
pub use crate::net::{ClientOptions, OutgoingClient};
#[cfg(feature = "health")]
pub use crate::observatory::HealthSummary;
#[cfg(all(feature = "http", feature = "server"))]
pub use crate::observatory::MonitorOptions;
#[cfg(feature = "profiling")]
pub use crate::profiler::{CpuProfile, CpuSummary};
#[cfg(all(feature = "http", feature = "server"))]
pub use crate::server::EndpointAccess;
#[cfg(feature = "server")]
pub use crate::server::ServerConfig;
#[cfg(feature = "otlp")]
pub use crate::traces::{
    EventRecord, ExportFailure, ExporterStatus, LiveTraces, OpenSpan, SpanRecord, TraceSummary,
    TracesError, propagation,
};
pub use crate::{
    config::{Config, LoadReport, Preset, ServiceConfig},
    journal::{JournalConfig, JournalReport, OperationReport, SlowSpanReport, Times},
    layer::ObservatoryLayer,
    log::LogFormat,
    metrics::{
        BucketsError, BucketsFor, FacadeSink, Format, MetricsSink, PrometheusConfig, QueryConfig,
        Registry, RegistryOptions, RetentionConfig, Side, SinkOptions, catalog,
    },
    observation::*,
    observatory::{
        BuildError, ClockStatus, ComponentState, ComponentStatus, Components, InstallError,
        Observatory, ObservatoryBuilder, StartError, Status,
    },
    privacy::{RedactionConfig, Secret},
    profiler::{
        Bottleneck, BottleneckKind, BottleneckSeverity, PerformanceThresholds, Profiler,
        ProfilerConfig, ProfilerError, SpanFlameGraph,
    },
    runtime::clock::{Clock, ManualClock},
    settings::{ConfigError, ConfigProblem, Origin},
    traces::{
        BatchConfig, Compression, ConsoleFormat, JaegerConfig, LiveConfig, LogsConfig, OtlpConfig,
        OtlpProtocol, Propagator, PushConfig, SamplingConfig, SamplingRule, SpanLimits, TailConfig,
        TraceExporter, TracesConfig, ZipkinConfig,
    },
};

/// Every Rust block of the README and of these pages is a test, in a build that has what they use.
#[cfg(all(doctest, feature = "alerting", feature = "otlp", feature = "http"))]
mod documentation {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/instrumentation.md")]
    struct Instrumentation;
    #[doc = include_str!("../docs/queries.md")]
    struct Queries;
    #[doc = include_str!("../docs/traces.md")]
    struct Traces;
    #[doc = include_str!("../docs/alerts.md")]
    struct Alerts;
}
