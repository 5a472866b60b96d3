//! Tests `Observatory::monitor`: which requests the endpoints answer, and which the application's router answers.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    routing::{any, get, post},
};
use http_body_util::BodyExt as _;
use llm_observatory::{
    Config, EndpointAccess, Format, MonitorOptions, Observatory, ObservatoryLayer,
    middleware::http::HttpOptions,
};
use tower::ServiceExt as _;
use tracing_subscriber::{Registry, prelude::*};

use super::support::sum;

const MINE: &str = "mine";

/// An answer of the application, or the endpoint that answered.
fn kind_of(status: StatusCode, body: &str) -> String {
    for (part, endpoint) in [
        ("\"checks\": {}", "our health"),
        ("\"started_unix_seconds\"", "our status"),
        ("observatory_build_info", "our metrics"),
    ] {
        if body.contains(part) {
            return endpoint.to_owned();
        }
    }
    match body {
        "" => status.as_u16().to_string(),
        text if status == StatusCode::OK => text.to_owned(),
        text => format!("{} {text}", status.as_u16()),
    }
}

/// An application's router with its monitor.
struct Monitored {
    app: Router,
    layer: Option<ObservatoryLayer<Registry>>,
    observatory: Observatory,
}

impl Monitored {
    fn new(router: Router, options: impl Into<MonitorOptions>) -> Self {
        let mut config = Config::default().without_server();
        config.health.enabled = false;
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        Self {
            app: observatory.monitor(router, options),
            layer: Some(layer),
            observatory,
        }
    }

    /// Sends the requests, checks their answers, and returns the number of requests that were counted.
    fn check(mut self, expected: &[(&str, &str)]) -> f64 {
        let layer = self.layer.take().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            for (request, answer) in expected {
                let app = self.app.clone();
                assert_eq!(runtime.block_on(ask(app, request)), *answer, "{request}");
            }
        });
        let text = self.observatory.export_metrics(Format::Prometheus);
        sum(&text, "llm_router_http_requests_total", "")
    }
}

/// Sends `METHOD /path [token]`.
async fn ask(app: Router, request: &str) -> String {
    let mut words = request.split(' ');
    let method: Method = words.next().unwrap().parse().unwrap();
    let mut builder = Request::builder().method(method).uri(words.next().unwrap());
    if let Some(token) = words.next() {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = app.oneshot(builder.body(Body::empty()).unwrap()).await;
    let answer = answer.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    kind_of(status, std::str::from_utf8(&body).unwrap())
}

async fn mine() -> &'static str {
    MINE
}

#[test]
fn the_endpoints_answer_beside_the_routes_and_are_not_counted() {
    let router = Router::new().route("/items/{id}", get(mine));
    let monitored = Monitored::new(router, HttpOptions::default());
    let observatory = monitored.observatory.clone();
    let counted = monitored.check(&[
        ("GET /items/7", MINE),
        ("GET /nowhere", "404"),
        ("GET /health", "our health"),
        ("GET /status", "our status"),
        ("GET /metrics", "our metrics"),
        ("POST /metrics", "405"),
    ]);
    assert_eq!(counted, 2.0);
    let text = observatory.export_metrics(Format::Prometheus);
    assert!(text.contains(r#"route="/items/{id}""#), "{text}");
}

#[test]
fn a_route_of_the_application_wins_whatever_its_method() {
    let router = Router::new()
        .route("/health", get(mine))
        .route("/status", post(mine));
    let counted = Monitored::new(router, MonitorOptions::default()).check(&[
        ("GET /health", MINE),
        ("POST /status", MINE),
        ("GET /status", "405"),
        ("GET /metrics", "our metrics"),
    ]);
    assert_eq!(counted, 3.0);
}

#[test]
fn a_catch_all_route_wins() {
    let router = Router::new().route("/{*path}", any(mine));
    let counted = Monitored::new(router, MonitorOptions::default()).check(&[
        ("GET /health", MINE),
        ("GET /metrics", MINE),
        ("POST /status", MINE),
        ("GET /a/b", MINE),
        ("GET /", "404"),
    ]);
    assert_eq!(counted, 5.0);
}

#[test]
fn nested_services_and_the_fallbacks_of_nested_routers_win() {
    let router = Router::new()
        .nest_service("/metrics", get(mine))
        .nest("/health", Router::new().fallback(mine))
        .nest("/api", Router::new().route("/status", get(mine)));
    Monitored::new(router, MonitorOptions::default()).check(&[
        ("GET /metrics", MINE),
        ("GET /metrics/below", MINE),
        ("GET /health", MINE),
        ("GET /health/below", MINE),
        ("GET /api/status", MINE),
        ("GET /status", "our status"),
    ]);
}

#[test]
fn the_endpoints_answer_before_the_fallback_of_a_single_page_application() {
    let router = Router::new()
        .route("/api", get(mine))
        .fallback(async || "page");
    let counted = Monitored::new(router, MonitorOptions::default()).check(&[
        ("GET /", "page"),
        ("GET /a/b", "page"),
        ("GET /api", MINE),
        ("GET /health", "our health"),
        ("GET /status", "our status"),
        ("GET /metrics", "our metrics"),
    ]);
    // The fallback is monitored, and no request is counted twice.
    assert_eq!(counted, 3.0);
}

#[test]
fn endpoints_can_be_left_out_and_can_require_a_token() {
    let router = || Router::new().route("/api", get(mine));
    let without = MonitorOptions::default().without_endpoints();
    let counted = Monitored::new(router(), without).check(&[
        ("GET /api", MINE),
        ("GET /metrics", "404"),
        ("GET /health", "404"),
        ("GET /status", "404"),
    ]);
    assert_eq!(counted, 4.0);

    let refused = concat!(
        "401 {\"error\":\"this needs the header `authorization: Bearer …` with the token of the endpoint\",",
        "\"errorType\":\"bad_data\",\"status\":\"error\"}\n"
    );
    let options = MonitorOptions::default()
        .with_metrics(EndpointAccess::token("canary"))
        .with_status(EndpointAccess::token(""))
        .with_health(EndpointAccess::Open);
    let monitored = Monitored::new(router(), options);
    let observatory = monitored.observatory.clone();
    monitored.check(&[
        ("GET /metrics", refused),
        ("GET /metrics canarx", refused),
        ("GET /metrics canary", "our metrics"),
        // An empty token matches no request.
        ("GET /status", refused),
        ("GET /health", "our health"),
        ("GET /api", MINE),
    ]);
    assert_eq!(observatory.status().refused_requests, 3);
}

#[test]
fn a_monitored_router_can_be_nested() {
    let config = Config::default().without_server();
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let app = Router::new().route("/api", get(mine));
    let nested = Router::new()
        .nest(
            "/app",
            observatory.monitor(app.clone(), MonitorOptions::default()),
        )
        .nest("/observatory", observatory.router());
    let nested = Monitored {
        app: nested,
        layer: Some(layer),
        observatory,
    };
    nested.check(&[
        ("GET /app/api", MINE),
        ("GET /app/metrics", "our metrics"),
        ("GET /observatory/metrics", "our metrics"),
        ("GET /metrics", "404"),
    ]);
}
