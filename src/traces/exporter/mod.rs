//! Sends spans, log records and metrics to their receivers. The only part of `traces` that does I/O.
//!
//! Each exporter has a folder with a constant `SPEC` and a row in the table below. The folder holds the options of the
//! exporter, its environment variables, their checks, and the implementation of [`Export`]. To add an exporter, add its
//! folder, its `mod` line and its row; an exporter with options also needs a field in
//! [`TracesConfig`](super::TracesConfig).

mod console;
#[cfg(feature = "otlp")]
pub(super) mod deadline;
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
mod encode_only_client;
#[cfg(feature = "otlp")]
mod endpoint_client;
#[cfg(feature = "otlp")]
mod export;
mod jaeger;
#[cfg(feature = "otlp")]
mod mapping;
mod otlp;
#[cfg(feature = "otlp")]
pub(super) mod retry;
mod spec;
#[cfg(feature = "otlp")]
pub(super) mod split_batch;
mod zipkin;

#[cfg(feature = "otlp")]
use self::export::Build;
#[cfg(feature = "otlp")]
pub(super) use self::export::{Export, Exporter, Sending};
use self::spec::{Spec, exporters};
pub use self::{
    console::ConsoleFormat,
    jaeger::JaegerConfig,
    otlp::{Compression, OtlpConfig, OtlpProtocol},
    zipkin::ZipkinConfig,
};
#[cfg(feature = "otlp")]
pub(crate) use self::{
    export::{Encoded, ExportError},
    otlp::Transport,
};

exporters! {
    /// A Collector, or any other receiver of OTLP.
    Otlp: "otlp" => otlp,
    /// Jaeger: OTLP over gRPC, or Thrift over HTTP for an endpoint that ends in `/api/traces` (feature `jaeger`).
    Jaeger: "jaeger" => jaeger,
    /// Zipkin: v2 JSON over HTTP (feature `zipkin`).
    Zipkin: "zipkin" (feature "zipkin") => zipkin,
    /// Standard output.
    Console: "console" => console,
}
