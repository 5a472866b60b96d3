//! Composes the areas into one observatory: installs it, starts its threads, and stops them.
//!
//! The thread *serve* answers requests, and the thread *work* samples and evaluates. Both are the observatory's own, so
//! `/metrics` answers while the application's runtime is blocked, and an application without a runtime can be observed.

mod builder;
mod clock_step;
mod component_status;
mod error;
mod filter_check;
mod install;
#[cfg(all(feature = "http", feature = "server"))]
mod mount;
mod problems;
#[cfg(feature = "otlp")]
mod push;
#[cfg(feature = "alerting")]
mod query;
mod resource;
mod running;
#[cfg(feature = "server")]
mod sources;
mod spans;
mod status;
mod work;

use std::{
    fmt,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

#[cfg(all(feature = "http", feature = "server"))]
pub use self::mount::MonitorOptions;
use self::running::Running;
#[cfg(feature = "health")]
pub use self::status::HealthSummary;
pub use self::{
    builder::ObservatoryBuilder,
    component_status::{ComponentState, ComponentStatus},
    error::{BuildError, InstallError, StartError},
    status::{ClockStatus, Components, Status},
};
use crate::{
    config::Config,
    journal::{Journal, JournalReport},
    log,
    metrics::{
        Format, Gatherer, Registry, catalog,
        exposition::{self},
    },
    observation::{
        CacheOperation, CustomMetric, DatabaseOperation, ErrorEvent, HttpRequest, Inference,
        ModelLoad, Observation, QueueOperation, RoutingDecision, Sink,
    },
    privacy::Redaction,
    profiler::Profiler,
    runtime::{Registered, lock},
};

/// A running observatory. Clones share it; it stops when the last clone is dropped.
#[derive(Clone)]
#[must_use = "the observatory stops when its last clone is dropped: keep it for as long as the service runs"]
pub struct Observatory(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    running: Mutex<Option<Running>>,
    /// Locked while the observatory starts or stops.
    transition: Mutex<()>,
    /// True after a shutdown, until the next start.
    has_stopped: AtomicBool,
}

/// The parts of an observatory, shared with its threads.
struct Core {
    config: Config,
    sink: Arc<CoreSink>,
    gatherer: Arc<Gatherer>,
    #[cfg(feature = "alerting")]
    queries: Arc<crate::metrics::collect::Queries>,
    #[cfg(feature = "alerting")]
    alerting: Arc<crate::alerting::Alerting>,
    #[cfg(feature = "health")]
    health: crate::health::Health,
    redaction: Arc<Redaction>,
    /// `None` if the journal is off.
    journal: Option<Arc<Journal>>,
    profiler: Profiler,
    #[cfg(feature = "otlp")]
    traces: Option<Arc<crate::traces::Traces>>,
    #[cfg(feature = "otlp")]
    pusher: Option<push::Pusher>,
    #[cfg(feature = "health")]
    watchdog: crate::health::Watchdog,
    /// True if observations are recorded (`config.enabled`).
    is_on: bool,
    /// The subscriber that the Layer is part of, once it is registered.
    subscriber: Registered,
    filter_check: Arc<filter_check::FilterCheck>,
}

/// The sink that observations are recorded in.
#[cfg(feature = "alerting")]
type CoreSink = crate::alerting::ObservatorySink;
#[cfg(not(feature = "alerting"))]
type CoreSink = crate::metrics::ServiceSink;

impl Observatory {
    /// Returns a builder, for a subscriber of the application.
    ///
    /// A filter that is a layer of the subscriber (`registry().with(EnvFilter::from_default_env())`) applies to every
    /// layer, in whichever order the layers stand: `tracing` then calls no layer for a hidden span, and no layer can
    /// change that. Put the filter on the log alone, with `fmt::layer().with_filter(filter)`. A filter that hides the
    /// spans is found when the subscriber is assembled, and reported in the log or on standard error, in `/status` and
    /// by the gauge `observatory_hidden_span_kinds`. (The report needs the Layer itself in the subscriber, not an
    /// `Option` or a `Vec` of layers.)
    ///
    /// If the subscriber already has a layer of tracing-opentelemetry, disable traces with [`Config::without_traces`]:
    /// two such layers in one subscriber panic at the first span that both record, which is a limit of that crate.
    pub fn builder(config: Config) -> ObservatoryBuilder {
        ObservatoryBuilder::new(config)
    }

    /// Installs everything: a subscriber with log output on standard error, the `metrics` recorder, the server, and the
    /// threads.
    ///
    /// `config.log_filter` (`RUST_LOG`) filters the log. The spans of the Layer pass regardless of it, so that a quiet
    /// log does not cost a metric.
    ///
    /// The observatory stops when its last handle is dropped. `let _ = Observatory::install(…)` drops the handle at once; a
    /// log line reports that, and the lint `let_underscore_drop` of rustc finds it at compile time.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid, the address is in use, or a subscriber or recorder is already
    /// installed. Nothing is installed then.
    pub fn install(config: Config) -> Result<Self, InstallError> {
        install::install(config)
    }

    /// Starts the threads and the server, if `auto_start` is off. Does nothing if they run.
    ///
    /// A stopped observatory can be started again. Spans and log records that end while it is stopped are counted as
    /// dropped (`shutdown`).
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use, or if a thread cannot be started, because the system refuses it or
    /// because its predecessor outlived the shutdown deadline and still runs.
    pub fn start(&self) -> Result<(), StartError> {
        let core = &self.0.core;
        let _one_at_a_time = lock(&self.0.transition);
        if lock(&self.0.running).is_some() || !core.is_on {
            return Ok(());
        }
        let begun = Running::start(core)?;
        *lock(&self.0.running) = Some(begun);
        self.0.has_stopped.store(false, Ordering::Release);
        Ok(())
    }

    /// Stops the server and the threads, within `config.shutdown_timeout`, on any executor. Recorded metrics are kept.
    ///
    /// Alert rules are evaluated a last time, and `alerting.flush_on_shutdown` selects the groups of alerts that are
    /// notified before the end of their group wait. A log line counts the notifications that remain.
    ///
    /// Waits for a shutdown that is already in progress.
    pub async fn shutdown(&self) {
        let (done, is_done) = futures_channel::oneshot::channel();
        let observatory = self.clone();
        let thread = std::thread::Builder::new()
            .name("observatory-stop".to_owned())
            .spawn(move || {
                observatory.shutdown_blocking();
                // The caller may have dropped the future.
                let _ = done.send(());
            });
        match thread {
            // The sender cannot be dropped without a send: the thread sends before it ends.
            Ok(_) => drop(is_done.await),
            Err(_) => self.shutdown_blocking(),
        }
    }

    /// Shuts down like [`Observatory::shutdown`], for code that is not async.
    pub fn shutdown_blocking(&self) {
        self.0.stop();
    }

    /// Returns the address of the server; `None` if the server does not run.
    #[must_use]
    pub fn listen_address(&self) -> Option<SocketAddr> {
        let running = lock(&self.0.running);
        #[cfg(feature = "server")]
        return running.as_ref()?.listen();
        #[cfg(not(feature = "server"))]
        running.as_ref().and(None)
    }

    /// Returns whether anything is observed: `config.enabled`, and false after a shutdown until the next start.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.core.is_on && !self.0.has_stopped.load(Ordering::Acquire)
    }

    /// Returns the configuration of the observatory.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.core.config
    }

    /// Returns the recorder, for an application that calls `metrics::set_global_recorder` itself.
    #[must_use]
    pub fn recorder(&self) -> Registry {
        self.0.core.gatherer.registry.clone()
    }

    /// Writes every series in `format`.
    #[must_use]
    pub fn export_metrics(&self, format: Format) -> String {
        let core = &self.0.core;
        exposition::to_string(&core.gatherer.registry, format, &core.gatherer.gather())
    }

    /// Returns the log layer that `install` uses, which writes to standard error, for a subscriber of the application.
    /// Add it above the observatory's Layer: `registry().with(layer).with(observatory.log_layer())`.
    ///
    /// `config.log_format` selects the format, and `config.traces.redaction` redacts the lines, with and without
    /// traces. If traces are on, every line inside a span names the trace and the span.
    #[must_use]
    pub fn log_layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        let is_ansi = io::stderr().is_terminal();
        let core = &self.0.core;
        let (redaction, format) = (&core.redaction, core.config.log_format);
        #[cfg(feature = "otlp")]
        if let Some(traces) = &core.traces {
            return Box::new(traces.log_layer(redaction, format, is_ansi));
        }
        Box::new(log::layer(redaction, log::NoIds, format, is_ansi))
    }

    /// Returns the layer that exports events as log records over OTLP, for a subscriber of the application; `install`
    /// adds it. The layer does nothing if `traces.logs` is off. Add it above the observatory's Layer, as
    /// [`Observatory::log_layer`].
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn log_export_layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        let traces = self.0.core.traces.as_ref();
        match traces.and_then(|traces| traces.record_layer(self.0.core.gatherer.clock.clone())) {
            Some(layer) => Box::new(layer),
            None => Box::new(tracing_subscriber::layer::Identity::new()),
        }
    }

    /// Returns the traces of the last minutes: the most recent, the slowest, the failed, and the open spans.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn traces(&self) -> crate::traces::LiveTraces {
        self.0.core.live_traces()
    }

    /// Returns the status of the observatory, as `/status` shows it.
    #[must_use]
    pub fn status(&self) -> Status {
        let is_running = lock(&self.0.running).is_some();
        self.0.core.status(is_running, self.listen_address())
    }

    /// Returns the alerts: rules, active alerts, notifications.
    #[cfg(feature = "alerting")]
    #[must_use]
    pub fn alerts(&self) -> crate::alerting::Alerts {
        crate::alerting::Alerts::new(&self.0.core.alerting)
    }

    /// Returns the watchdog, which reports workers and threads that do not make progress.
    #[cfg(feature = "health")]
    #[must_use]
    pub fn watchdog(&self) -> crate::health::Watchdog {
        self.0.core.watchdog.clone()
    }

    /// Returns the health checks: registration, reports, readiness.
    #[cfg(feature = "health")]
    #[must_use]
    pub fn health(&self) -> crate::health::Health {
        self.0.core.health.clone()
    }

    /// Returns the busy, idle and self time of spans by operation; `None` if `journal.enabled` is false.
    #[must_use]
    pub fn journal(&self) -> Option<JournalReport> {
        self.0.core.journal.as_ref().map(|journal| journal.report())
    }

    /// Returns the profiler.
    #[must_use]
    pub fn profiler(&self) -> Profiler {
        self.0.core.profiler.clone()
    }

    /// Records an observation.
    pub fn record<'a>(&self, observation: impl Into<Observation<'a>>) {
        if self.0.core.is_on {
            self.0.core.sink.record(&observation.into());
        }
    }

    /// Records an inference.
    pub fn record_inference(&self, inference: Inference<'_>) {
        self.record(inference);
    }

    /// Records an HTTP request that the service handled.
    pub fn record_http_request(&self, request: HttpRequest<'_>) {
        self.record(request);
    }

    /// Records the loading of a model.
    pub fn record_model_load(&self, load: ModelLoad<'_>) {
        self.record(load);
    }

    /// Records a cache operation.
    pub fn record_cache_operation(&self, operation: CacheOperation<'_>) {
        self.record(operation);
    }

    /// Records a database operation.
    pub fn record_database_operation(&self, operation: DatabaseOperation<'_>) {
        self.record(operation);
    }

    /// Records a queue operation.
    pub fn record_queue_operation(&self, operation: QueueOperation<'_>) {
        self.record(operation);
    }

    /// Records the selection of a model.
    pub fn record_routing_decision(&self, decision: RoutingDecision<'_>) {
        self.record(decision);
    }

    /// Records an error.
    pub fn record_error(&self, error: ErrorEvent<'_>) {
        self.record(error);
    }

    /// Records a value of a metric that the application defines.
    pub fn record_custom_metric(&self, metric: CustomMetric<'_>) {
        self.record(metric);
    }
}

impl fmt::Debug for Observatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observatory")
            .field("service", &self.0.core.config.service.name)
            .field("listen", &self.listen_address())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Returns the traces of the last minutes.
    #[cfg(feature = "otlp")]
    fn live_traces(&self) -> crate::traces::LiveTraces {
        crate::traces::Traces::live(self.traces.as_deref(), self.subscriber.clone())
    }

    /// Returns whether the observatory was built a moment ago and has observed nothing.
    fn is_unused(&self) -> bool {
        const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);
        let observations = catalog::OBSERVATIONS.name;
        self.gatherer.uptime() < MOMENT && self.gatherer.registry.counter_total(observations) == 0
    }

    /// Logs each notice about the configuration or the application once.
    fn report_notices(&self) {
        for notice in self.gatherer.registry.diagnostics().take_notices() {
            tracing::warn!(target: "llm_observatory", "{notice}");
        }
    }
}

impl Inner {
    fn stop(&self) {
        let _one_at_a_time = lock(&self.transition);
        self.has_stopped.store(true, Ordering::Release);
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.stop(&self.core);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let is_at_once = lock(&self.running).is_some() && self.core.is_unused();
        self.stop();
        if is_at_once {
            report_drop();
        }
    }
}

/// Reports an observatory that was dropped at once, as by `let _ = Observatory::install(…)`.
fn report_drop() {
    let text = "the observatory has stopped, because its handle was dropped at once: nothing is measured from here on; keep the \
                handle for as long as the program runs, `let observatory = Observatory::install(…)?;`, and end it with \
                `observatory.shutdown_blocking()`";
    if tracing::enabled!(target: "llm_observatory", tracing::Level::ERROR) {
        tracing::error!(target: "llm_observatory", "{text}");
    } else {
        // The subscriber of the application is not installed yet, or its filter hides the line.
        filter_check::to_stderr(text);
    }
}
