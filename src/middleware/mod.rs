//! Middleware that opens a span for each request and ends the span with the last byte of the response.
//!
//! | You have | Use | Feature |
//! |---|---|---|
//! | an axum router | `Observatory::instrument`, or [`http::HttpMonitorLayer`] | `http` (and `server`) |
//! | any other tower service for HTTP | [`http::HttpMonitorLayer`] | `http` |
//! | an HTTP client that is a tower service | [`client::HttpClientLayer`] | `http` |
//! | a `reqwest::Client` | [`client::MonitoredClient`] | `http` |
//! | a tonic server, a tonic client | [`grpc::GrpcMonitorLayer`], [`grpc::GrpcClientLayer`] | `grpc` |
//!
//! Metrics are recorded by the Layer: the middleware opens an `http_request` or `grpc_request` span and records its
//! fields. Without an installed Layer the middleware only counts bytes. If a filter outside the Layer disables the
//! target `llm_observatory`, the spans and their metrics are lost; `Observatory::install` enables these spans
//! regardless of the log filter.
//!
//! A request ends exactly once: with the last byte of the response body, with an error of the body, or as `cancelled`
//! if the body is dropped before its end because the client disconnected. Bodies pass unchanged and are never stored.

mod body;
#[cfg(feature = "http")]
pub mod client;
mod context;
mod error_class;
mod future;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
mod observer;

pub use self::body::CountedBody;
