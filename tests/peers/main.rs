//! Tests against real software: Prometheus, promtool, `VictoriaMetrics`; curl, wrk, grpcio and the `openai` client;
//! llmock and fakellm as upstreams; exim, aiosmtpd, Slack's and `PagerDuty`'s packages; rotel; libfaketime; Redis.
//!
//! A missing peer skips its tests with a message, or fails them with `CI=true`.
#![cfg(feature = "server")]
#![expect(clippy::float_cmp, reason = "counts are exact")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stderr, reason = "a skipped test prints a message")]

#[cfg(feature = "alerting")]
mod alert_chain;
#[cfg(feature = "alerting")]
mod alerts;
#[cfg(feature = "alerting")]
mod api;
#[cfg(feature = "email")]
mod channels_mail;
#[cfg(feature = "alerting")]
mod channels_sink;
#[cfg(feature = "alerting")]
mod channels_support;
mod clients;
#[cfg(feature = "alerting")]
mod clock;
#[cfg(all(feature = "otlp", feature = "zipkin"))]
#[path = "../collector/mod.rs"]
mod collector;
#[cfg(all(feature = "otlp", feature = "zipkin"))]
mod collectors;
mod crowd;
#[cfg(feature = "otlp")]
mod distributed;
#[cfg(all(feature = "alerting", feature = "jaeger", feature = "zipkin"))]
mod exporters;
#[cfg(feature = "grpc")]
mod grpc;
mod health;
#[cfg(feature = "otlp")]
mod logs;
mod openai;
mod parsers;
mod process;
mod prometheus;
#[cfg(feature = "otlp")]
mod push;
#[cfg(all(feature = "alerting", feature = "jaeger", feature = "zipkin"))]
mod receiver;
mod router;
#[cfg(feature = "alerting")]
mod rule_tests;
mod scrape;
#[cfg(feature = "otlp")]
mod traces;
mod upstreams;
