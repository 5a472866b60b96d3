//! Middleware that opens the span of a request and ends it with the last byte of its answer.
//!
//! | You have | Use | Feature |
//! |---|---|---|
//! | an axum router | `Observatory::instrument`, or [`http::HttpMonitorLayer`] | `http` (and `server`) |
//! | any other tower service for HTTP | [`http::HttpMonitorLayer`] | `http` |
//! | an HTTP client that is a tower service | [`client::HttpClientLayer`] | `http` |
//! | a `reqwest::Client` | [`client::MonitoredClient`] | `http` |
//! | a tonic server, a tonic client | [`grpc::GrpcMonitorLayer`], [`grpc::GrpcClientLayer`] | `grpc` |
//!
//! Everything goes through the Layer: a middleware opens an `http_request` or `grpc_request` span and records its
//! fields. So where no Layer of ours is installed it counts bytes and no more, and where a filter outside the Layer
//! turns the target `llm_observatory` away, its metrics are lost with its spans; `Observatory::install` lets them
//! through whatever the log's filter says.
//!
//! A request ends exactly once: with the last byte of its body, with an error of it, or, dropped before that, as
//! `cancelled`: its client left. Bodies pass unchanged and are never kept.

mod body;
mod class;
#[cfg(feature = "http")]
pub mod client;
mod context;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;

pub use self::body::{CountedBody, MonitoredBody};
