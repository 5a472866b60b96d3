//! Assembles the tracing pipeline of one observatory, from the gate to the exporters.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use opentelemetry::{KeyValue, Value, trace::TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, registry::LookupSpan};

use super::{
    ExporterStatus, Gate, LiveTraces, Propagator, TracesConfig, TracesError,
    account::Account,
    conventions::Conventions,
    exporter::Exporter,
    failure::Failures,
    gate::{self, OwnSpans, SpanTable},
    live::Live,
    log_ids::LogIds,
    pipeline::{Filters, Intake, Pipeline},
    provider,
    records::{RecordExport, RecordLayer},
    redaction::SpanRedaction,
    sampling::HeadSampler,
    tail::TailSampler,
};
use crate::{
    log::{self, LogFormat},
    metrics::{Registry, Side, catalog},
    observation::{AttributeValue, Dropped, Mapping},
    privacy::Redaction,
    runtime::Registered,
    runtime::clock::Clock,
};

/// The message about another OpenTelemetry layer in the subscriber.
const CONFLICT: &str = "the subscriber contains another tracing-opentelemetry layer, so this crate exports no spans, and metrics go on; remove that layer, or remove the exporters of this crate (`traces.exporters`, OTEL_TRACES_EXPORTER=none): the live view then takes its trace ids from that layer";

/// The values from which [`Traces`] are assembled.
pub(crate) struct TracesParts<'a> {
    pub(crate) options: &'a TracesConfig,
    /// Names of spans and fields of the application.
    pub(crate) mapping: &'a Mapping,
    /// The side of the `GenAI` conventions that the attributes of spans follow.
    pub(crate) gen_ai: Option<Side>,
    pub(crate) registry: &'a Registry,
    pub(crate) redaction: &'a Arc<Redaction>,
    /// Attributes of the resource.
    pub(crate) resource: &'a [(String, String)],
}

/// Sets an attribute of a sampled span. Does nothing to other spans.
pub(crate) fn set_attribute(span: &Span, key: String, value: AttributeValue) {
    let value = match value {
        AttributeValue::Bool(value) => value.into(),
        AttributeValue::Integer(value) => value.into(),
        AttributeValue::Number(value) => value.into(),
        AttributeValue::Text(text) => Value::from(text),
    };
    let own = KeyValue::new(key.clone(), value.clone());
    span.with_subscriber(|(id, dispatch)| gate::set_own_attribute(dispatch, id, own));
    gate::internal(|| span.set_attribute(key, value));
}

/// The traces of one observatory, from the gate to the exporters.
pub(crate) struct Traces {
    pipeline: Pipeline,
    provider: SdkTracerProvider,
    pub(super) ids: LogIds,
    live: Option<Arc<Live>>,
    /// `None` if spans are exported.
    own: Option<Arc<OwnSpans>>,
    records: Option<RecordExport>,
    propagators: Vec<Propagator>,
    registry: Registry,
    /// True if the subscriber has another OpenTelemetry layer.
    has_other_layer: Arc<AtomicBool>,
}

impl Traces {
    /// Builds all parts and starts no thread.
    pub(crate) fn new(parts: &TracesParts<'_>) -> Result<Self, TracesError> {
        let TracesParts {
            options: traces,
            mapping,
            gen_ai,
            registry,
            redaction,
            resource,
        } = *parts;
        redaction.prepare();
        let resource = provider::resource(resource);
        // An exporter that is configured twice would send every span twice.
        let mut kinds = Vec::new();
        for kind in &traces.exporters {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        let has_exporter = !kinds.is_empty();
        let exporters = kinds
            .iter()
            .map(|kind| {
                let exporter = Exporter::new(*kind, traces, &resource)?;
                let account = Account::new(registry, exporter.name, exporter.export.address());
                Ok((exporter, account))
            })
            .collect::<Result<Vec<_>, TracesError>>()?;
        let live = traces
            .live
            .enabled
            .then(|| Arc::new(Live::new(&traces.live)));
        let pipeline = Pipeline::new(
            exporters,
            Filters {
                redaction: SpanRedaction::new(Arc::clone(redaction)),
                failures: Failures::new(mapping, redaction),
                conventions: Conventions::new(gen_ai, mapping, redaction),
                live: live.clone(),
                tail: traces
                    .tail
                    .as_ref()
                    .map(|tail| TailSampler::new(tail, mapping)),
                max_attributes: traces.limits.attributes as usize,
            },
            &traces.batch,
        );
        let records = traces
            .logs
            .enabled
            .then(|| RecordExport::new(&traces.logs, redaction, &resource, registry))
            .transpose()?;
        let sampler = Arc::new(HeadSampler::new(&traces.sampling).with_mapping(mapping));
        let own = (!has_exporter).then(|| {
            let (stream, limits) = (Arc::clone(&pipeline.stream), traces.limits.clone());
            let baggage = traces.baggage_attributes.clone();
            Arc::new(OwnSpans::new(stream, limits, baggage))
        });
        let intake = Intake::new(
            Arc::clone(&pipeline.stream),
            traces.baggage_attributes.clone(),
        );
        let provider = provider::provider(intake, &sampler, &traces.limits);
        Ok(Self {
            pipeline,
            provider,
            ids: LogIds {
                spans: Arc::new(SpanTable::new()),
                sampler,
            },
            live,
            own,
            records,
            propagators: traces.propagators.clone(),
            registry: registry.clone(),
            has_other_layer: Arc::default(),
        })
    }

    /// Builds the gate of a Layer.
    pub(crate) fn gate<S>(&self, clock: Clock) -> Gate<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let tracer = self.provider.tracer_with_scope(provider::scope());
        let LogIds { sampler, spans } = &self.ids;
        let registry = self.registry.clone();
        Gate::new(tracer, Arc::clone(sampler), Arc::clone(spans), clock)
            .with_other_layer_flag(&self.has_other_layer)
            .with_own_spans(self.own.as_ref())
            .with_propagators(&self.propagators)
            .with_on_panicking_field(move |field| {
                registry.dropped_with(Dropped::PanickingField, field);
            })
    }

    /// Builds a layer that writes log lines with trace ids to standard error.
    pub(crate) fn log_layer<S>(
        &self,
        redaction: &Arc<Redaction>,
        format: LogFormat,
        is_ansi: bool,
    ) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        log::layer(redaction, self.ids.clone(), format, is_ansi)
    }

    /// Builds a layer that exports events as log records; `None` if that is not configured.
    pub(crate) fn record_layer<S>(&self, clock: Clock) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let records = self.records.as_ref()?;
        Some(RecordLayer {
            records: Arc::clone(&records.records),
            level: records.level,
            spans: Arc::clone(&self.ids.spans),
            sampler: Arc::clone(&self.ids.sampler),
            clock,
        })
    }

    /// The traces of the last minutes.
    pub(crate) fn live(traces: Option<&Self>, subscriber: Registered) -> LiveTraces {
        LiveTraces::new(traces.and_then(|traces| traces.live.clone()), subscriber)
    }

    /// The problem that spans are not exported because another layer makes the OpenTelemetry spans; sets its gauge.
    pub(crate) fn conflict(&self) -> Option<&'static str> {
        let is_off = self.own.is_none() && self.has_other_layer.load(Ordering::Relaxed);
        self.registry.set(
            &catalog::TRACE_EXPORT_SUPPRESSED,
            &[],
            f64::from(u8::from(is_off)),
        );
        is_off.then_some(CONFLICT)
    }

    /// The status of each exporter.
    pub(crate) fn exporters(&self) -> Vec<ExporterStatus> {
        let accounts = self.pipeline.stream.accounts();
        accounts.map(Account::status).collect()
    }

    /// Starts the threads that export.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.records.as_ref().map_or(Ok(()), RecordExport::start)?;
        self.pipeline.start()
    }

    /// Tells the threads to export the remaining spans until `deadline`, and does not wait for them.
    pub(crate) fn announce_end(&self, deadline: Instant) {
        self.pipeline.announce_end(deadline);
        if let Some(records) = &self.records {
            records.announce_end(deadline);
        }
    }

    /// Exports the remaining spans and waits until `deadline` at most.
    pub(crate) fn stop(&self, deadline: Instant) {
        // A receiver of spans that hangs until the deadline must not take the time of the log records.
        self.announce_end(deadline);
        self.pipeline.stop(deadline);
        if let Some(records) = &self.records {
            records.stop(deadline);
        }
    }
}
