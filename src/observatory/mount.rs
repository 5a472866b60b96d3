//! Adds the endpoints and the middleware to an axum router of the application.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, extract::Request};
use tower_layer::layer_fn;
use tower_service::Service;

use super::{Inner, Observatory};
use crate::{
    middleware::http::{HttpMonitorLayer, HttpOptions},
    runtime::lock,
    server::{self, EndpointAccess},
    settings::setters,
};

/// Options of [`Observatory::monitor`]: the middleware, and access to the endpoints that are mounted.
///
/// ```
/// use llm_observatory::{EndpointAccess, MonitorOptions};
///
/// let options = MonitorOptions::default()
///     .with_metrics(EndpointAccess::token("a long random text"))
///     .with_status(EndpointAccess::Off);
/// let only_middleware = MonitorOptions::default().without_endpoints();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MonitorOptions {
    /// Options of the middleware. Default: every request is counted and traced.
    pub http: HttpOptions,
    /// Access to the metrics, at `prometheus.endpoint`. Default: open.
    pub metrics: EndpointAccess,
    /// Access to the health report, at `health.endpoint`. Default: open.
    pub health: EndpointAccess,
    /// Access to the status, at `/status`. Default: open.
    pub status: EndpointAccess,
}

impl MonitorOptions {
    setters! {
        /// Sets the options of the middleware.
        with_http(http: HttpOptions) { self.http = http }
        /// Sets the access to the metrics.
        with_metrics(access: EndpointAccess) { self.metrics = access }
        /// Sets the access to the health report.
        with_health(access: EndpointAccess) { self.health = access }
        /// Sets the access to the status.
        with_status(access: EndpointAccess) { self.status = access }
    }

    /// Mounts no endpoint: the router is monitored, and answers as before.
    #[must_use]
    pub fn without_endpoints(self) -> Self {
        self.with_metrics(EndpointAccess::Off)
            .with_health(EndpointAccess::Off)
            .with_status(EndpointAccess::Off)
    }
}

impl From<HttpOptions> for MonitorOptions {
    fn from(http: HttpOptions) -> Self {
        Self::default().with_http(http)
    }
}

impl Observatory {
    /// Returns the endpoints of the server, to merge or nest into a router of the application: `/`, `/metrics`,
    /// `/health`, `/status` and, with the feature `alerting`, Prometheus's API. They run on the application's runtime,
    /// so they do not answer while it is blocked.
    ///
    /// ```
    /// # use llm_observatory::{Config, Observatory};
    /// # fn example(observatory: &Observatory) -> axum::Router {
    /// axum::Router::new().nest("/observatory", observatory.router())
    /// # }
    /// ```
    pub fn router(&self) -> Router {
        server::mounted(super::sources::sources(&self.0.core))
    }

    /// Monitors an axum router in one call: counts and traces its requests, failures and panics, and adds `/metrics`,
    /// `/health` and `/status` (or the configured paths), and with the feature `health` also `live`, `ready`, `startup` and
    /// the groups that exist now, below the path of health.
    ///
    /// A route of the application wins over an endpoint with the same path, whatever its method; so does a catch-all
    /// route (`/{*path}`), and a nested router or service. The first request that the application answers at such a path
    /// adds a line to the log, with the address at which the observatory's own server has the endpoint. The fallback of the
    /// router does not win: the endpoints answer before a single-page application.
    ///
    /// Requests to the endpoints are not counted. The middleware of `router` does not apply to the endpoints:
    /// [`EndpointAccess::Token`] protects them. Call this function last: routes that are added to the returned router are
    /// not monitored, and a fallback that is added to it replaces the endpoints.
    ///
    /// ```
    /// # use llm_observatory::{Observatory, MonitorOptions};
    /// # fn example(observatory: &Observatory) -> axum::Router {
    /// use axum::{Router, routing::get};
    ///
    /// let app = Router::new().route("/v1/models", get(|| async { "[]" }));
    /// observatory.monitor(app, MonitorOptions::default())
    /// # }
    /// ```
    pub fn monitor(&self, router: Router, options: impl Into<MonitorOptions>) -> Router {
        let MonitorOptions {
            http,
            metrics,
            health,
            status,
        } = options.into();
        let monitor = HttpMonitorLayer::with_options(http);
        let config = &self.0.core.config;
        let access = [metrics, health, status];
        let mounted = [
            (&access[0], &*config.prometheus.endpoint, "metrics"),
            (&access[1], &*config.health.endpoint, "health"),
            (&access[2], server::STATUS, "status"),
        ]
        .into_iter()
        .filter(|(access, ..)| **access != EndpointAccess::Off)
        .map(|(_, path, option)| Endpoint {
            path: path.to_owned(),
            option,
            is_reported: AtomicBool::new(false),
        });
        let endpoints = Arc::new(Endpoints {
            mounted: mounted.collect(),
            observatory: Arc::downgrade(&self.0),
        });
        if endpoints.mounted.is_empty() {
            return router.layer(monitor);
        }
        // Not `merge`, which panics if both routers have the same path. As its fallback, the endpoints answer the paths
        // that no route of the application matches; they pass the others on to the application's fallback.
        let fallback = server::mounted_essentials(super::sources::sources(&self.0.core), access)
            .fallback_service(router.clone().layer(monitor.clone()));
        let report = layer_fn(move |inner| ReportShadowed {
            inner,
            endpoints: Arc::clone(&endpoints),
        });
        router.layer((report, monitor)).fallback_service(fallback)
    }
}

/// The endpoints that are mounted in a router of the application.
struct Endpoints {
    mounted: Vec<Endpoint>,
    /// Weak, since a router must not keep the observatory running.
    observatory: Weak<Inner>,
}

struct Endpoint {
    path: String,
    /// The name of the option of its access.
    option: &'static str,
    is_reported: AtomicBool,
}

impl Endpoints {
    /// Reports the first request that a route of the application answers at the path of an endpoint.
    fn report(&self, path: &str) {
        let Some(endpoint) = self.mounted.iter().find(|endpoint| endpoint.path == path) else {
            return;
        };
        if endpoint.is_reported.load(Ordering::Relaxed)
            || endpoint.is_reported.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let Some(observatory) = self.observatory.upgrade() else {
            return;
        };
        let listen = lock(&observatory.running)
            .as_ref()
            .and_then(super::Running::listen);
        let elsewhere = listen.map_or_else(
            || {
                "can be mounted at another path: .nest(\"/observatory\", observatory.router())"
                    .to_owned()
            },
            |address| format!("is at http://{address}{path}"),
        );
        observatory.core.gatherer.registry.diagnostics().notice(format!(
            "a route of the application answers {path}, so the observatory's endpoint is not reached there; it {elsewhere}. If \
             this is intended, MonitorOptions::with_{}(EndpointAccess::Off) ends this line",
            endpoint.option
        ));
    }
}

/// A route of the application, which may have the path of an endpoint.
#[derive(Clone)]
struct ReportShadowed<S> {
    inner: S,
    endpoints: Arc<Endpoints>,
}

impl<S: Service<Request>> Service<Request> for ReportShadowed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.endpoints.report(request.uri().path());
        self.inner.call(request)
    }
}
