//! HTTP that is served: a layer for axum and everything tower.
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
//! The route is axum's matched path, which is there for a layer put on the router itself, as above; around a service
//! that knows no routes, every request is `unmatched`. Never is it the raw path: 100,000 of them are one series.
//!
//! Duration and sizes are those of the whole exchange, to the last byte of the response body. A client that leaves
//! before is `499`, nginx's code for it, with the bytes that were sent; a handler that panics is `500` with the error
//! type `panic`; a body that fails keeps the status code that went out before it, and counts as an error.

mod bytes;
mod connections;
mod exchange;
mod future;
mod headers;
mod layer;
mod options;
mod service;

pub use self::{
    bytes::Bytes,
    connections::{Connected, ConnectedFuture, MonitorConnections},
    exchange::Exchange,
    future::HttpFuture,
    layer::HttpMonitorLayer,
    options::{HttpOptions, Sampling},
    service::HttpMonitor,
};
