//! Defines the options of traces: sampling, redaction, batching, exporters, propagation.

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
    live::LiveConfig,
    logs::LogsConfig,
    push::PushConfig,
    sampling::{SamplingConfig, SamplingRule},
    tail::TailConfig,
};
use super::exporter::{ConsoleFormat, JaegerConfig, OtlpConfig, TraceExporter, ZipkinConfig};
use crate::{privacy::RedactionConfig, runtime::named, settings::Variable};

/// The options of traces: sampling, redaction, batching, exporters, propagation.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TracesConfig {
    /// True if traces are enabled. Default: false; the presets enable them if the feature `otlp` is compiled in.
    pub enabled: bool,
    /// The exporters, each with a queue of its own. Default: OTLP.
    pub exporters: Vec<TraceExporter>,
    /// Head sampling.
    pub sampling: SamplingConfig,
    /// Tail sampling, at the end of a trace. Default: all sampled traces are exported.
    pub tail: Option<TailConfig>,
    /// Live traces, which are kept in the process.
    pub live: LiveConfig,
    /// The export of events as log records.
    pub logs: LogsConfig,
    /// The batching of spans.
    pub batch: BatchConfig,
    /// The limits of a span.
    pub limits: SpanLimits,
    /// The redaction of spans, log lines and alerts, with traces or without.
    pub redaction: RedactionConfig,
    /// The exporter `otlp`.
    pub otlp: OtlpConfig,
    /// The exporter `jaeger`.
    pub jaeger: JaegerConfig,
    /// The exporter `zipkin`.
    pub zipkin: ZipkinConfig,
    /// The exporter `console`. Default: pretty.
    pub console: ConsoleFormat,
    /// The formats of the headers that carry a trace. Default: W3C Trace Context and Baggage.
    pub propagators: Vec<Propagator>,
    /// Names of baggage entries that every span gets as attributes. Default: none.
    pub baggage_attributes: Vec<String>,
}

/// The batching of spans or log records: `OTEL_BSP_*` for spans.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchConfig {
    /// The maximum number of spans that wait for an exporter; further spans are dropped and counted. Default: 2,048.
    pub queue_size: usize,
    /// The maximum number of spans in a batch. Default: 512.
    pub batch_size: usize,
    /// The maximum time that a span waits for a batch to fill. Default: 5 s.
    pub delay: Duration,
    /// The time limit of a batch, retries included; 0 is no limit. Default: 30 s. A shorter timeout of the exporter
    /// takes precedence.
    pub timeout: Duration,
}

/// The limits of a span. Items beyond a limit are dropped, and the span has their number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SpanLimits {
    /// The maximum number of attributes of a span. Default: 128.
    pub attributes: u32,
    /// The maximum number of events of a span. Default: 128.
    pub events: u32,
    /// The maximum number of attributes of an event. Default: 128.
    pub event_attributes: u32,
    /// The maximum number of links of a span. Default: 128.
    pub links: u32,
    /// The maximum number of attributes of a link. Default: 128.
    pub link_attributes: u32,
    /// The maximum number of characters of an attribute value; longer values are cut. Default: no limit.
    pub value_length: Option<usize>,
}

named! {
    /// A format of the headers that carry a trace from one service to the next.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    #[non_exhaustive]
    pub enum Propagator {
        /// W3C Trace Context: `traceparent`, `tracestate`.
        TraceContext = "tracecontext",
        /// W3C Baggage: `baggage`.
        Baggage = "baggage",
        /// B3 in one header: `b3`.
        B3 = "b3",
        /// B3 in several headers: `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`.
        B3Multi = "b3multi",
        /// Jaeger: `uber-trace-id`, `uberctx-*`.
        Jaeger = "jaeger",
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

/// The shortest of these time limits; 0 is no limit.
#[cfg(feature = "otlp")]
pub(crate) fn shortest<const N: usize>(timeouts: [Duration; N]) -> Duration {
    /// Longer than the life of a process, and short enough to be added to any time.
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
