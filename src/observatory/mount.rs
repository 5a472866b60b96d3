//! The endpoints and the middleware in an axum router of the application's own.

use axum::Router;

use super::Observatory;
use crate::middleware::http::{HttpMonitorLayer, HttpOptions};

impl Observatory {
    /// The endpoints of the server, for a router of your own: `/`, `/metrics`, `/health`, `/status` and, with feature
    /// `alerting`, Prometheus's API. To be merged or nested; they answer on your runtime, and only while it is free.
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

    /// Everything for an axum router in one call: its requests are watched, failures and panics are counted, and
    /// `/metrics`, `/health` and `/status` (or what the configuration calls them) answer before it.
    ///
    /// Those three are not counted. Routes that are added to what this returns are not watched.
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
        // Not merged: a path that both have would be a panic.
        crate::server::mounted_essentials(super::sources::sources(&self.0.core))
            .fallback_service(watched)
    }
}
