//! The tower layer that monitors HTTP requests.

use std::sync::Arc;

use tower_layer::Layer;

use super::{HttpMonitor, HttpOptions, options::Sampler};

/// Monitors the HTTP requests that a service handles.
///
/// Apply it to an axum `Router` with `.layer(…)`, after the routes are added, or to any tower service for `http`
/// requests. The service must accept a request body of any type, as axum does.
#[derive(Clone, Debug)]
#[must_use = "put it on a router or a service"]
pub struct HttpMonitorLayer {
    shared: Arc<Shared>,
}

/// The state that all services of a layer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) options: HttpOptions,
    pub(super) sampler: Sampler,
}

impl HttpMonitorLayer {
    /// Monitors every request.
    pub fn new() -> Self {
        Self::with_options(HttpOptions::default())
    }

    /// Monitors requests with these options.
    pub fn with_options(options: HttpOptions) -> Self {
        let sampler = Sampler::default();
        Self {
            shared: Arc::new(Shared { options, sampler }),
        }
    }
}

impl Default for HttpMonitorLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl From<HttpOptions> for HttpMonitorLayer {
    fn from(options: HttpOptions) -> Self {
        Self::with_options(options)
    }
}

impl<S> Layer<S> for HttpMonitorLayer {
    type Service = HttpMonitor<S>;

    fn layer(&self, inner: S) -> HttpMonitor<S> {
        HttpMonitor {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}
