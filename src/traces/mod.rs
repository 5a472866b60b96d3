//! Exports the spans of sampled traces to collectors.
//!
//! ```text
//! spans ─► gate ─► tracing-opentelemetry ─► queue ─► redaction ─► tail sampling ─► queue ─► exporter (one each)
//!             └─── without an exporter ───────┘              └─► live view
//! ```
//!
//! The gate decides at the first span of a trace, so that an unsampled trace costs little. Metrics do not depend on
//! sampling. Propagation to other services is described in [`propagation`].

#[cfg(feature = "otlp")]
mod account;
#[cfg(feature = "otlp")]
mod component;
#[cfg(feature = "otlp")]
mod conventions;
#[cfg(feature = "otlp")]
mod error;
mod exporter;
#[cfg(feature = "otlp")]
mod facts;
#[cfg(feature = "otlp")]
mod failure;
#[cfg(feature = "otlp")]
mod gate;
#[cfg(feature = "otlp")]
mod live;
#[cfg(feature = "otlp")]
mod log_ids;
#[cfg(feature = "otlp")]
mod numbers;
mod options;
#[cfg(feature = "otlp")]
mod pipeline;
#[cfg(feature = "otlp")]
pub mod propagation;
#[cfg(feature = "otlp")]
mod provider;
#[cfg(feature = "otlp")]
mod records;
#[cfg(feature = "otlp")]
mod redaction;
#[cfg(feature = "otlp")]
mod sampling;
#[cfg(feature = "otlp")]
mod size;
#[cfg(feature = "otlp")]
mod tail;

pub(crate) use self::options::variables;
#[cfg(feature = "otlp")]
pub use self::{
    account::{ExportFailure, ExporterStatus},
    error::TracesError,
    live::{EventRecord, LiveTraces, OpenSpan, SpanRecord, TraceSummary},
};
#[cfg(feature = "otlp")]
pub(crate) use self::{
    component::{Traces, TracesParts, set_attribute},
    exporter::{
        Encoded, ExportError, Transport,
        deadline::Deadline,
        retry::{Sent, deliver_parts},
    },
    facts::InferenceFacts,
    gate::{Gate, is_active},
    options::{Signal, shortest},
    pipeline::{MIN_WARNING_INTERVAL, say, unharmed},
};
// A glob, so that the options of a new exporter need no line here.
pub use self::exporter::*;
pub use self::options::{
    BatchConfig, LiveConfig, LogsConfig, Propagator, PushConfig, SamplingConfig, SamplingRule,
    SpanLimits, TailConfig, TracesConfig,
};
