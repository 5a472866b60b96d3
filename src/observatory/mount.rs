//! Adds the endpoints and the middleware to an axum router of the application.

use axum::Router;

use super::Observatory;
use crate::middleware::http::{HttpMonitorLayer, HttpOptions};

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
        crate::server::mounted(super::sources::sources(&self.0.core))
    }

    /// Instruments an axum router in one call: monitors its requests, counts failures and panics, and serves
    /// `/metrics`, `/health` and `/status` (or the configured paths) before the router's own routes, and with the feature
    /// `health` also `live`, `ready`, `startup` and the groups that exist now, below the path of health.
    ///
    /// Requests to those endpoints are not counted. Routes that are added to the returned router are not
    /// monitored.
    ///
    /// ```
    /// # use llm_observatory::{Config, Observatory, middleware::http::HttpOptions};
    /// # fn example(observatory: &Observatory) -> axum::Router {
    /// use axum::{Router, routing::get};
    ///
    /// let app = Router::new().route("/v1/models", get(|| async { "[]" }));
    /// observatory.instrument(app, HttpOptions::default())
    /// # }
    /// ```
    pub fn instrument(&self, router: Router, options: HttpOptions) -> Router {
        let watched = router.layer(HttpMonitorLayer::with_options(options));
        // A fallback instead of `merge`, which panics if both routers have the same path.
        crate::server::mounted_essentials(super::sources::sources(&self.0.core))
            .fallback_service(watched)
    }
}
