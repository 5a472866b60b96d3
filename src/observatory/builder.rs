//! Builds an observatory for a subscriber of the application.

use std::sync::{Arc, Mutex};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::registry::LookupSpan;

use super::{BuildError, Core, Inner, Observatory, filter_check::FilterCheck, resource};
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
    metrics::{Gatherer, MetricsSink, Registry, catalog},
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
    #[cfg(feature = "alerting")]
    channels: std::collections::BTreeMap<String, crate::alerting::Channel>,
}

impl ObservatoryBuilder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            clock: Clock::system(),
            event_level: LevelFilter::TRACE,
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
    #[expect(clippy::too_many_lines, reason = "composes the parts one by one")]
    pub fn build<S>(self) -> Result<(ObservatoryLayer<S>, Observatory), BuildError>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Self {
            config,
            clock,
            event_level,
            #[cfg(feature = "alerting")]
            channels,
        } = self;
        config.validate()?;
        let redaction =
            Redaction::new(&config.traces.redaction, config.traces.limits.value_length)?;
        let redaction = Arc::new(redaction);
        let options = config.registry_options();
        let registry = Registry::with_redaction(options, Arc::clone(&redaction))?;
        let sink = MetricsSink::new(registry.clone(), config.sink_options());
        #[cfg(feature = "alerting")]
        let (sink, signals) = ObservatorySink::new(sink, Arc::clone(&redaction));
        let sink = Arc::new(sink);
        let filter_check = Arc::new(FilterCheck::default());
        let journal = (config.enabled && config.journal.enabled)
            .then(|| Arc::new(Journal::new(clock.clone(), Arc::clone(&redaction))));
        let layer = if config.enabled {
            let (check, registry) = (Arc::clone(&filter_check), registry.clone());
            ObservatoryLayer::with_options(Arc::clone(&sink), config.mapping.clone(), clock.clone())
                .with_journal(journal.clone())
                .on_assembled(move |subscriber| check.ask(subscriber, &registry))
        } else {
            ObservatoryLayer::off()
        };
        describe(&registry, &config);
        let resource = resource::attributes(&config.service);
        #[cfg(feature = "otlp")]
        let traces = (config.enabled && config.traces.enabled)
            .then(|| {
                Traces::new(&TracesParts {
                    options: &config.traces,
                    mapping: &config.mapping,
                    gen_ai: config.prometheus.gen_ai,
                    registry: &registry,
                    redaction: &redaction,
                    resource: &resource,
                })
            })
            .transpose()?;
        #[cfg(feature = "otlp")]
        let layer = match &traces {
            Some(traces) => layer
                .with_gate(traces.gate(clock.clone()))
                .with_event_level(event_level),
            None => layer,
        };
        #[cfg(not(feature = "otlp"))]
        let _ = event_level;
        #[cfg(feature = "otlp")]
        let pusher = super::push::Pusher::new(&config.push)?;
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
        let core = Arc::new(Core {
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
        }));
        if observatory.config().auto_start {
            observatory.start()?;
        }
        Ok((layer, observatory))
    }
}

/// Records the version and the service, and the notices of the configuration.
fn describe(registry: &Registry, config: &Config) {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("service_name", &config.service.name),
    ];
    registry.set(&catalog::BUILD_INFO, &labels, 1.0);
    for notice in &config.notices {
        registry.diagnostics().notice(notice.clone());
    }
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
