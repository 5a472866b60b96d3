//! Tests the behaviour of the public API, with a separate subscriber for each test.
#![expect(
    clippy::float_cmp,
    clippy::too_many_lines,
    reason = "counts are exact; a list of cases is long"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod alerts_defaults;
mod alerts_rules;
mod alerts_support;
mod architecture;
#[cfg(all(feature = "server", feature = "alerting"))]
#[path = "../attackers/mod.rs"]
mod attackers;
mod attacks;
#[path = "../privacy/canaries.rs"]
mod canaries;
mod clock;
#[cfg(feature = "otlp")]
mod dashboard;
mod differential;
mod docs;
mod events;
mod exposition;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "otlp")]
mod grpc_receiver;
mod hostile;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_client;
mod instrument;
mod layer;
mod lifecycle;
#[cfg(feature = "otlp")]
mod live;
mod query;
mod redaction;
mod server;
#[cfg(feature = "otlp")]
mod spans;
mod stack;
mod stress;
mod support;
#[cfg(feature = "otlp")]
mod traces;
