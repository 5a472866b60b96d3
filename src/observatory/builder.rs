//! Builds an observatory for a subscriber of the application.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::registry::LookupSpan;

use super::{BuildError, Core, CoreSink, Inner, Observatory, filter_check::FilterCheck, resource};
#[cfg(feature = "health")]
use crate::health::{BuiltInParts, Health, HealthParts};
#[cfg(feature = "health")]
use crate::layer::{SpanReader, Watch};
#[cfg(feature = "otlp")]
use crate::traces::{Traces, TracesParts};
#[cfg(feature = "alerting")]
use crate::{
    alerting::{Alerting, Assembled, Context, ObservatorySink, ServiceParts, Signals},
    metrics::collect::Queries,
};
use crate::{
    config::Config,
    journal::Journal,
    layer::ObservatoryLayer,
    metrics::{FacadeSink, Gatherer, Registry, ServiceSink, catalog},
    privacy::Redaction,
    profiler::{Profiler, ProfilerParts},
    runtime::clock::Clock,
};

/// Builds an observatory.
///
/// ```
/// use llm_observatory::{Config, Observatory};
/// use tracing_subscriber::{filter::LevelFilter, prelude::*};
///
/// let config = Config::default().without_server();
/// let (layer, observatory) = Observatory::builder(config).build()?;
/// // The level filter goes outermost: it keeps a disabled `trace!` free.
/// tracing_subscriber::registry().with(layer).with(LevelFilter::INFO).init();
/// metrics::set_global_recorder(observatory.recorder()).expect("the only recorder");
/// # Ok::<(), llm_observatory::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "call build"]
pub struct ObservatoryBuilder {
    config: Config,
    clock: Clock,
    event_level: LevelFilter,
    facade: Option<FacadeSink>,
    #[cfg(feature = "alerting")]
    channels: std::collections::BTreeMap<String, crate::alerting::Channel>,
}

impl ObservatoryBuilder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            clock: Clock::system(),
            event_level: LevelFilter::TRACE,
            facade: None,
            #[cfg(feature = "alerting")]
            channels: std::collections::BTreeMap::new(),
        }
    }

    /// Sets the clock, for tests that control the time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the Layer ignore events that are more verbose than `level` and reach it only because another layer needs
    /// them.
    pub(super) fn event_level(mut self, level: LevelFilter) -> Self {
        self.event_level = level;
        self
    }

    /// Also writes the metrics of spans and events into the `metrics` recorder of the application, for example
    /// `metrics-exporter-prometheus`, with the prefix and the options of the configuration. The recorder may be installed
    /// later.
    ///
    /// The observatory keeps its own series, so that alerts, health checks, `/metrics` and the dashboard work as without
    /// the recorder. Do not install [`Observatory::recorder`] as the global recorder as well: each metric would count
    /// twice there.
    ///
    /// ```
    /// use llm_observatory::{Config, Observatory};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    /// let config = Config::default().without_server();
    /// let (layer, observatory) = Observatory::builder(config).facade().build()?;
    /// tracing_subscriber::registry().with(layer).init();
    /// drop(tracing::info_span!("inference", model_id = "llama-3.1-8b", tokens = 12));
    /// assert!(recorder.render().contains("llm_router_model_inference_total"));
    /// # drop(observatory);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn facade(self) -> Self {
        let options = self.config.sink_options();
        let facade = FacadeSink::global(&self.config.prometheus.prefix, options);
        self.sink(facade)
    }

    /// Also writes the metrics of spans and events to `sink`, with the sink's recorder and prefix, as
    /// [`ObservatoryBuilder::facade`].
    pub fn sink(mut self, sink: FacadeSink) -> Self {
        self.facade = Some(sink);
        self
    }

    /// Adds an alert channel. It replaces a configured channel of the same name.
    #[cfg(feature = "alerting")]
    pub fn channel(mut self, name: impl Into<String>, channel: crate::alerting::Channel) -> Self {
        self.channels.insert(name.into(), channel);
        self
    }

    /// Returns the Layer for the application's subscriber, and the observatory, which is started unless `auto_start` is
    /// off.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid, the server's address is in use, or a thread cannot be started.
    pub fn build<S>(self) -> Result<(ObservatoryLayer<S>, Observatory), BuildError>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Self {
            config,
            clock,
            event_level,
            facade,
            #[cfg(feature = "alerting")]
            channels,
        } = self;
        config.validate()?;
        let redaction =
            Redaction::new(&config.traces.redaction, config.traces.limits.value_length)?;
        let redaction = Arc::new(redaction);
        let registry = Registry::with_redaction(config.registry_options(), redaction.clone())?;
        let sink = ServiceSink::new(registry.clone(), config.sink_options(), facade);
        #[cfg(feature = "alerting")]
        let (sink, signals) = ObservatorySink::new(sink, Arc::clone(&redaction));
        let sink = Arc::new(sink);
        let filter_check = Arc::new(FilterCheck::default());
        let journal = (config.enabled && config.journal.enabled)
            .then(|| Arc::new(Journal::new(clock.clone(), Arc::clone(&redaction))));
        let layer = interpretation(&config, &sink, &clock, (&filter_check, &registry))
            .with_journal(journal.clone());
        describe(&registry, &config);
        let resource = resource::attributes(&config.service);
        #[cfg(feature = "otlp")]
        let traces = traces(&config, &registry, &redaction, &resource)?;
        #[cfg(feature = "otlp")]
        let traces = traces.map(Arc::new);
        #[cfg(feature = "otlp")]
        let layer = with_gate(layer, traces.as_ref(), &clock, event_level);
        #[cfg(not(feature = "otlp"))]
        let _ = event_level;
        #[cfg(feature = "otlp")]
        let pusher = super::push::Pusher::new(&config.push)?;
        #[cfg(feature = "health")]
        let (layer, watchdog) = watched(layer, &config, &registry, &redaction);
        let gatherer = Arc::new(Gatherer::new(registry, clock, resource));
        #[cfg(feature = "alerting")]
        let queries = Arc::new(Queries::new(
            &config.query,
            config.tick,
            Arc::clone(&gatherer),
        ));
        #[cfg(feature = "alerting")]
        let alerting = assemble_alerting(
            &config,
            Context {
                queries: Arc::clone(&queries),
                redaction: Arc::clone(&redaction),
                labels: config.prometheus.labels.clone(),
            },
            channels,
            signals,
        )?;
        #[cfg(any(feature = "alerting", feature = "otlp"))]
        report_bundled_roots(&gatherer.registry);
        #[cfg(feature = "health")]
        let health = health(
            &config,
            &gatherer,
            &watchdog,
            #[cfg(feature = "alerting")]
            &queries,
        )?;
        let core = Arc::new(Core {
            #[cfg(feature = "health")]
            health,
            #[cfg(feature = "alerting")]
            queries,
            #[cfg(feature = "alerting")]
            alerting: Arc::new(alerting),
            redaction,
            profiler: Profiler::new(ProfilerParts {
                options: &config.profiler,
                journal: journal.clone(),
            }),
            journal,
            #[cfg(feature = "otlp")]
            traces,
            #[cfg(feature = "otlp")]
            pusher,
            #[cfg(feature = "health")]
            watchdog,
            is_on: config.enabled,
            subscriber: layer.registered(),
            filter_check,
            config,
            sink,
            gatherer,
        });
        let observatory = Observatory(Arc::new(Inner {
            core,
            running: Mutex::new(None),
            transition: Mutex::new(()),
            has_stopped: AtomicBool::new(false),
        }));
        if observatory.config().auto_start {
            observatory.start()?;
        }
        Ok((layer, observatory))
    }
}

/// Returns the Layer that interprets spans and events, without traces.
fn interpretation<S>(
    config: &Config,
    sink: &Arc<CoreSink>,
    clock: &Clock,
    (filter_check, registry): (&Arc<FilterCheck>, &Registry),
) -> ObservatoryLayer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    if !config.enabled {
        return ObservatoryLayer::off();
    }
    let (check, registry) = (Arc::clone(filter_check), registry.clone());
    ObservatoryLayer::with_options(Arc::clone(sink), config.mapping.clone(), clock.clone())
        .on_assembled(move |subscriber| check.ask(subscriber, &registry))
}

/// Adds the gate of the traces to the Layer, and reports another OpenTelemetry layer in the subscriber.
#[cfg(feature = "otlp")]
fn with_gate<S>(
    layer: ObservatoryLayer<S>,
    traces: Option<&Arc<Traces>>,
    clock: &Clock,
    event_level: LevelFilter,
) -> ObservatoryLayer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let Some(traces) = traces else { return layer };
    let conflicting = Arc::clone(traces);
    layer
        .with_gate(traces.gate(clock.clone()))
        .with_event_level(event_level)
        .on_assembled(move |_| {
            if let Some(problem) = conflicting.conflict() {
                super::filter_check::to_stderr(problem);
            }
        })
}

/// Returns the Layer with a record of entered spans if the watchdog is on, and the watchdog.
#[cfg(feature = "health")]
fn watched<S>(
    layer: ObservatoryLayer<S>,
    config: &Config,
    registry: &Registry,
    redaction: &Arc<Redaction>,
) -> (ObservatoryLayer<S>, crate::health::Watchdog)
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let options = &config.health.watchdog;
    let is_on = config.enabled && config.health.enabled && options.enabled;
    let watch = is_on.then(|| Arc::new(Watch::new()));
    let watchdog = crate::health::Watchdog::new(crate::health::WatchdogParts {
        options: options.clone(),
        watch: watch.clone(),
        spans: SpanReader::of(&layer, Arc::clone(redaction)),
        runtimes: Arc::default(),
        registry: registry.clone(),
    });
    (layer.with_watch(watch), watchdog)
}

/// Records the version and the service, and the notices of the configuration.
fn describe(registry: &Registry, config: &Config) {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("service_name", &config.service.name),
    ];
    registry.set(&catalog::BUILD_INFO, &labels, 1.0);
    registry.counter(&catalog::CLOCK_STEPS, &[]);
    registry.set(&catalog::CLOCK_LAST_STEP, &[], 0.0);
    for notice in &config.notices {
        registry.diagnostics().notice(notice.clone());
    }
}

/// Returns the traces, if they are on.
#[cfg(feature = "otlp")]
fn traces(
    config: &Config,
    registry: &Registry,
    redaction: &Arc<Redaction>,
    resource: &[(String, String)],
) -> Result<Option<Traces>, crate::traces::TracesError> {
    if !config.enabled || !config.traces.enabled {
        return Ok(None);
    }
    Traces::new(&TracesParts {
        options: &config.traces,
        mapping: &config.mapping,
        gen_ai: config.prometheus.gen_ai,
        registry,
        redaction,
        resource,
    })
    .map(Some)
}

/// Creates the built-in health checks and the configured dependencies, with the watchdog as a member of the report.
#[cfg(feature = "health")]
fn health(
    config: &Config,
    gatherer: &Arc<Gatherer>,
    watchdog: &crate::health::Watchdog,
    #[cfg(feature = "alerting")] queries: &Arc<Queries>,
) -> Result<Health, crate::health::HealthError> {
    let health = Health::new(&HealthParts {
        options: &config.health,
        is_on: config.enabled && config.health.enabled,
        gatherer,
        built_in: BuiltInParts {
            directories: crate::config::checked_directories(config),
            #[cfg(feature = "alerting")]
            queries,
            #[cfg(feature = "alerting")]
            stores_series: config.query.enabled,
            #[cfg(not(feature = "alerting"))]
            without_queries: std::marker::PhantomData,
        },
    })?;
    if watchdog.is_enabled() {
        health.watch_runtime(Arc::new(watchdog.clone()));
    }
    Ok(health)
}

#[cfg(feature = "alerting")]
fn assemble_alerting(
    config: &Config,
    context: Context,
    own: std::collections::BTreeMap<String, crate::alerting::Channel>,
    signals: Signals,
) -> Result<Alerting, BuildError> {
    let assembled = Assembled::new(ServiceParts {
        options: &config.alerting,
        is_enabled: config.enabled,
        context,
        default_rules: crate::config::configured_rules(config),
        service: &config.service.name,
        listen: (config.prometheus.listen, config.prometheus.enabled),
        shutdown_timeout: config.shutdown_timeout,
        own,
        signals,
    })?;
    Ok(Alerting::new(assembled))
}

/// Counts the https clients that trust Mozilla's bundled root certificates, and logs once that there are some.
#[cfg(any(feature = "alerting", feature = "otlp"))]
fn report_bundled_roots(registry: &Registry) {
    let clients = crate::net::clients_on_bundled_roots();
    let gauge = registry.gauge(&catalog::BUNDLED_ROOT_CLIENTS, &[]);
    gauge.set(clients as f64);
    if clients > 0 {
        let notice = "the system has no usable root certificates: https receivers are verified by Mozilla's bundled list; install ca-certificates, set SSL_CERT_FILE, or name a file in the configuration (`certificate`)";
        registry.diagnostics().notice(notice.to_owned());
    }
}
