//! Traces: which are kept, what of them may leave the process, and where they go.

mod exporter;
mod live;
mod logs;
mod otlp;
mod push;
mod sampling;
mod tail;
mod validate;
pub(crate) mod variables;

use std::time::Duration;

pub(crate) use self::otlp::Signal;
pub use self::{
    exporter::{
        Compression, ConsoleFormat, JaegerConfig, OtlpConfig, OtlpProtocol, TraceExporter,
        ZipkinConfig,
    },
    live::LiveConfig,
    logs::LogsConfig,
    push::PushConfig,
    sampling::{SamplingConfig, SamplingRule},
    tail::TailConfig,
};
use crate::{privacy::RedactionConfig, settings::Variable};

/// Traces: which are kept, what of them may leave the process, and where they go.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TracesConfig {
    /// Whether spans become traces; off is free. Default: false; the presets turn it on where the feature `otlp` is
    /// compiled in.
    pub enabled: bool,
    /// Where traces go; each exporter has a queue of its own. Default: OTLP.
    pub exporters: Vec<TraceExporter>,
    /// Which traces are kept.
    pub sampling: SamplingConfig,
    /// Which of the traces that sampling keeps are exported, once it is known how they went. Default: all.
    pub tail: Option<TailConfig>,
    /// Which traces can be looked at in the process itself.
    pub live: LiveConfig,
    /// Events exported as log records.
    pub logs: LogsConfig,
    /// How spans are gathered before they are sent.
    pub batch: BatchConfig,
    /// What a span may hold.
    pub limits: SpanLimits,
    /// What may leave the process, of spans, log lines and alerts: it holds good where traces are off, too.
    pub redaction: RedactionConfig,
    /// The exporter `otlp`.
    pub otlp: OtlpConfig,
    /// The exporter `jaeger`.
    pub jaeger: JaegerConfig,
    /// The exporter `zipkin`.
    pub zipkin: ZipkinConfig,
    /// The exporter `console`. Default: pretty.
    pub console: ConsoleFormat,
    /// Headers that carry a trace from one service to the next. Default: W3C trace context and baggage.
    pub propagators: Vec<Propagator>,
    /// Names of baggage entries that every span gets as attributes. Default: none.
    pub baggage_attributes: Vec<String>,
}

/// How spans are gathered before they are sent: `OTEL_BSP_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchConfig {
    /// Spans that wait for one exporter at most; those beyond are dropped and counted. Default: 2,048.
    pub queue_size: usize,
    /// Spans that are sent at once at most. Default: 512.
    pub batch_size: usize,
    /// Time that a span waits for others at most. Default: 5 s.
    pub delay: Duration,
    /// Time that a batch may take, with every retry; 0 is without an end. Default: 30 s; an exporter's own timeout
    /// counts where it is shorter.
    pub timeout: Duration,
}

/// What a span may hold; what is beyond is dropped, and the span says how much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Attributes of a span. Default: 128.
    pub attributes: u32,
    /// Events of a span. Default: 128.
    pub events: u32,
    /// Attributes of an event. Default: 128.
    pub event_attributes: u32,
    /// Links of a span. Default: 128.
    pub links: u32,
    /// Attributes of a link. Default: 128.
    pub link_attributes: u32,
    /// Characters of an attribute's value; longer ones are cut. Default: none.
    pub value_length: Option<usize>,
}

/// A format of the headers that carry a trace from one service to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagator {
    /// W3C Trace Context: `traceparent`, `tracestate`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// B3 in one header: `b3`.
    B3,
    /// B3 in several headers: `x-b3-traceid` and its like.
    B3Multi,
    /// Jaeger's: `uber-trace-id`, `uberctx-*`.
    Jaeger,
}

impl Propagator {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::TraceContext,
        Self::Baggage,
        Self::B3,
        Self::B3Multi,
        Self::Jaeger,
    ];

    /// Its name in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
        }
    }
}

impl TracesConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = tail::VARIABLES;
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            exporters: vec![TraceExporter::Otlp],
            sampling: SamplingConfig::default(),
            tail: None,
            live: LiveConfig::default(),
            logs: LogsConfig::default(),
            batch: BatchConfig::default(),
            limits: SpanLimits::default(),
            redaction: RedactionConfig::default(),
            otlp: OtlpConfig::default(),
            jaeger: JaegerConfig::default(),
            zipkin: ZipkinConfig::default(),
            console: ConsoleFormat::Pretty,
            propagators: vec![Propagator::TraceContext, Propagator::Baggage],
            baggage_attributes: Vec::new(),
        }
    }
}

impl BatchConfig {
    /// A batch "must be less than or equal to" the queue.
    pub(crate) fn set_queue_size(&mut self, size: usize) {
        self.queue_size = size;
        self.set_batch_size(self.batch_size);
    }

    pub(crate) fn set_batch_size(&mut self, size: usize) {
        self.batch_size = size.min(self.queue_size);
    }
}

/// The shortest of these times, of which 0 is one without an end.
#[cfg(feature = "otlp")]
pub(crate) fn shortest<const N: usize>(timeouts: [Duration; N]) -> Duration {
    /// Longer than any process runs, and short enough to be added to any time.
    const ENDLESS: Duration = Duration::from_hours(24 * 365 * 100);
    let some = timeouts.into_iter().filter(|timeout| !timeout.is_zero());
    some.min().unwrap_or(ENDLESS).min(ENDLESS)
}

/// The defaults of OpenTelemetry's specification.
impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            queue_size: 2_048,
            batch_size: 512,
            delay: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The defaults of OpenTelemetry's specification.
impl Default for SpanLimits {
    fn default() -> Self {
        Self {
            attributes: 128,
            events: 128,
            event_attributes: 128,
            links: 128,
            link_attributes: 128,
            value_length: None,
        }
    }
}
