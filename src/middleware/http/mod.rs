//! Middleware for HTTP servers: a layer for axum routers and other tower services.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use llm_observatory::middleware::http::HttpMonitorLayer;
//!
//! let app: Router = Router::new()
//!     .route("/v1/models/{model}", get(|| async { "…" }))
//!     .layer(HttpMonitorLayer::new());
//! ```
//!
//! The route is axum's matched path, which a layer sees if it is applied to the router itself, as above. Around a
//! service without routes, every request has the route `unmatched`. The raw path is never used as the route: 100,000
//! distinct paths would otherwise be 100,000 series.
//!
//! Duration and sizes cover the whole exchange, up to the last byte of the response body. A client that disconnects
//! earlier is recorded with the status code `499`, as nginx does, and with the bytes that were sent. A handler that
//! panics is recorded with `500` and the error type `panic`. A response body that fails keeps the status code that was
//! already sent, and counts as an error.

mod bytes;
mod connections;
mod exchange;
mod headers;
mod layer;
mod options;
mod service;

pub use self::{
    bytes::Bytes,
    connections::MonitorConnections,
    layer::HttpMonitorLayer,
    options::{HttpOptions, Sampling},
    service::HttpMonitor,
};
