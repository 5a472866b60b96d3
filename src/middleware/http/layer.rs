//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::{HttpMonitor, HttpOptions, options::Sampler};

/// Watches the HTTP requests that a service serves.
///
/// Put it on an axum `Router` with `.layer(…)`, after its routes; or on any tower service for `http` requests. It asks
/// only that the service takes a body of any type, as axum does.
#[derive(Clone, Debug)]
#[must_use = "put it on a router or a service"]
pub struct HttpMonitorLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) options: HttpOptions,
    pub(super) sampler: Sampler,
}

impl HttpMonitorLayer {
    /// Watches every request.
    pub fn new() -> Self {
        Self::with_options(HttpOptions::default())
    }

    /// Watches as the options say.
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
