//! Tests the HTTP middleware around an axum router.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Method, Request, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use llm_observatory::middleware::http::{
    HttpMonitorLayer, HttpOptions, MonitorConnections, Sampling,
};
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::support::{Watched, sum, watched};

/// A stream that fails after its first chunk.
fn broken() -> Body {
    let chunks = [
        Ok(Bytes::from_static(b"12345")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    Body::from_stream(stream::iter(chunks))
}

/// A stream that sends one chunk and then stays pending.
fn endless() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"12345"))]);
    Body::from_stream(first.chain(stream::pending()))
}

fn panic_on_purpose() {
    panic!("on purpose");
}

fn app(options: HttpOptions) -> Router {
    Router::new()
        .route(
            "/items/{id}",
            get(|Path(id): Path<String>| async move { id }),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/deaf", post(|| async { StatusCode::NO_CONTENT }))
        .route("/broken", get(|| async { broken() }))
        .route("/endless", get(|| async { endless() }))
        .route("/slow", get(std::future::pending::<()>))
        .route("/fails", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/panics", get(|| async { panic_on_purpose() }))
        .route(
            "/declared",
            get(|| async { ([(header::CONTENT_LENGTH, "5")], endless()).into_response() }),
        )
        .layer(HttpMonitorLayer::with_options(options))
}

fn request(method: Method, path: &str, body: &'static str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body))
        .unwrap()
}

fn block_on<T>(watched: &Watched, work: impl Future<Output = T>) -> T {
    watched.run(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(work)
    })
}

/// Sends a request and reads its response to the end.
fn ask(watched: &Watched, app: &Router, request: Request<Body>) -> Result<Bytes, axum::Error> {
    block_on(watched, async {
        let answer = app.clone().oneshot(request).await.unwrap();
        Ok(answer.into_body().collect().await?.to_bytes())
    })
}

fn count(watched: &Watched, labels: &str) -> f64 {
    sum(&watched.text(), "llm_router_http_requests_total", labels)
}

fn check_none_in_flight(watched: &Watched) {
    assert_eq!(sum(&watched.text(), "http_server_active_requests", ""), 0.0);
}

#[test]
fn a_request_is_counted_by_route_with_the_bytes_that_passed() {
    let watched = watched();
    let app = app(HttpOptions::default());
    let answer = ask(
        &watched,
        &app,
        request(Method::POST, "/echo", "twelve bytes"),
    )
    .unwrap();
    assert_eq!(answer, "twelve bytes");
    ask(&watched, &app, request(Method::GET, "/items/7", "")).unwrap();
    ask(&watched, &app, request(Method::GET, "/items/123", "")).unwrap();
    ask(
        &watched,
        &app,
        request(Method::POST, "/deaf", "nobody reads this"),
    )
    .unwrap();
    let echo = r#"{method="POST",route="/echo",status_code="200"}"#;
    let items = r#"{method="GET",route="/items/{id}",status_code="200"}"#;
    watched.check(&[
        (&format!("llm_router_http_requests_total{echo}"), 1.0),
        (&format!("llm_router_http_request_size_bytes_sum{echo}"), 12.0),
        (&format!("llm_router_http_response_size_bytes_sum{echo}"), 12.0),
        (&format!("llm_router_http_requests_total{items}"), 2.0),
        (&format!("llm_router_http_response_size_bytes_sum{items}"), 4.0),
        // Bytes that the handler does not read are not counted.
        (r#"llm_router_http_request_size_bytes_sum{method="POST",route="/deaf",status_code="204"}"#, 0.0),
        (r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/items/{id}",url_scheme="http"}"#, 2.0),
    ]);
    check_none_in_flight(&watched);
}

#[test]
fn a_hundred_thousand_paths_are_one_series() {
    let watched = watched();
    let app = app(HttpOptions::default());
    watched.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let before = watched.text().lines().count();
            for number in 0..100_000_u32 {
                let path = format!("/{:x}/{number}", number.wrapping_mul(2_654_435_761));
                let answer = app.clone().oneshot(request(Method::GET, &path, "")).await;
                drop(answer.unwrap().into_body().collect().await);
                if number == 0 {
                    assert!(watched.text().lines().count() > before);
                }
            }
        });
    });
    let text = watched.text();
    let series = text
        .lines()
        .filter(|line| line.starts_with("llm_router_http_requests_total{"));
    assert_eq!(series.count(), 1, "{text}");
    assert_eq!(
        count(&watched, r#"route="unmatched",status_code="404""#),
        100_000.0
    );
}

#[test]
fn a_client_that_disconnects_is_recorded_as_499_with_the_sent_bytes() {
    let watched = watched();
    let app = app(HttpOptions::default());
    // In the middle of the response.
    block_on(&watched, async {
        let answer = app.clone().oneshot(request(Method::GET, "/endless", ""));
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(
            body.frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len(),
            5
        );
        assert_eq!(
            sum(&watched.text(), "http_server_active_requests", ""),
            1.0,
            "in flight while its body is"
        );
        drop(body);
    });
    // Before the response.
    block_on(&watched, async {
        let answer = app.clone().oneshot(request(Method::GET, "/slow", ""));
        let _ = tokio::time::timeout(Duration::from_secs(1), answer).await;
    });
    watched.check(&[
        (r#"llm_router_http_requests_total{method="GET",route="/endless",status_code="499"}"#, 1.0),
        (r#"llm_router_http_response_size_bytes_sum{method="GET",route="/endless",status_code="499"}"#, 5.0),
        (r#"llm_router_http_requests_total{method="GET",route="/slow",status_code="499"}"#, 1.0),
    ]);
    assert_eq!(sum(&watched.text(), "llm_router_errors_total", ""), 0.0);
    check_none_in_flight(&watched);
}

#[test]
fn failures_are_counted_once_by_their_class() {
    let watched = watched();
    let app = app(HttpOptions::default());
    assert!(ask(&watched, &app, request(Method::GET, "/broken", "")).is_err());
    ask(&watched, &app, request(Method::GET, "/fails", "")).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = ask(&watched, &app, request(Method::GET, "/panics", ""));
    }));
    assert!(panicked.is_err());
    watched.check(&[
        // The status code was sent before the body failed.
        (r#"llm_router_http_requests_total{method="GET",route="/broken",status_code="200"}"#, 1.0),
        (r#"llm_router_http_response_size_bytes_sum{method="GET",route="/broken",status_code="200"}"#, 5.0),
        (r#"llm_router_errors_total{component="http_request",error_type="connection_reset"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="GET",route="/fails",status_code="502"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_request",error_type="502"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="GET",route="/panics",status_code="500"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_request",error_type="panic"}"#, 1.0),
        (r#"http_server_request_duration_seconds_count{error_type="panic",http_request_method="GET",http_response_status_code="500",http_route="/panics",url_scheme="http"}"#, 1.0),
    ]);
    assert_eq!(sum(&watched.text(), "llm_router_errors_total", ""), 3.0);
    check_none_in_flight(&watched);
}

#[test]
fn a_panic_that_an_outer_layer_catches_is_recorded_as_a_panic() {
    let watched = watched();
    let app = app(HttpOptions::default());
    block_on(&watched, async {
        let answer = app.clone().oneshot(request(Method::GET, "/panics", ""));
        let caught = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(answer));
        assert!(caught.await.is_err());
    });
    assert_eq!(count(&watched, r#"status_code="500""#), 1.0);
    assert_eq!(count(&watched, ""), 1.0);
}

#[test]
fn a_body_that_the_server_does_not_poll_is_not_a_disconnect() {
    let watched = watched();
    let app = app(HttpOptions::default());
    block_on(&watched, async {
        // hyper drops the body of a response to HEAD without reading it.
        let head = app.clone().oneshot(request(Method::HEAD, "/items/7", ""));
        drop(head.await.unwrap());
        // hyper does not poll a body beyond its declared length.
        let declared = app.clone().oneshot(request(Method::GET, "/declared", ""));
        let mut body = declared.await.unwrap().into_body();
        drop(body.frame().await);
        drop(body);
    });
    assert_eq!(count(&watched, r#"status_code="200""#), 2.0);
    assert_eq!(count(&watched, ""), 2.0);
}

#[test]
fn excluded_paths_are_not_counted_and_sampling_counts_all() {
    let watched = watched();
    let app = app(HttpOptions::default()
        .with_excluded_path("/echo")
        .with_sampling(Sampling::NONE));
    ask(&watched, &app, request(Method::POST, "/echo", "x")).unwrap();
    for _ in 0..10 {
        ask(&watched, &app, request(Method::GET, "/items/7", "")).unwrap();
    }
    assert_eq!(count(&watched, ""), 10.0);
}

#[test]
fn headers_become_fields_only_when_asked_and_without_secrets() {
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = |options: HttpOptions| {
        let written = Written::default();
        let writer = written.clone();
        let fmt = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(fmt);
        tracing::subscriber::with_default(subscriber, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let mut request = request(Method::GET, "/items/7", "");
            let headers = request.headers_mut();
            headers.insert("x-tenant", "acme".parse().unwrap());
            headers.insert("authorization", "Bearer hunter2".parse().unwrap());
            runtime.block_on(app(options).oneshot(request)).unwrap();
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    };
    let captured = log(HttpOptions::default().with_captured_headers());
    assert!(
        captured.contains("x-tenant: acme") && !captured.contains("hunter2"),
        "{captured}"
    );
    assert!(captured.contains("http.response.headers"), "{captured}");
    for options in [
        HttpOptions::default(),
        HttpOptions::default()
            .with_captured_headers()
            .with_sampling(Sampling::NONE),
    ] {
        let plain = log(options);
        assert!(
            plain.contains("http.route") && !plain.contains("acme"),
            "{plain}"
        );
    }
}

#[test]
fn without_a_subscriber_requests_pass_unchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let answer = app(HttpOptions::default()).oneshot(request(Method::POST, "/echo", "same"));
        let body = answer.await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "same");
    });
}

#[test]
fn a_service_that_fails_without_an_answer_is_an_error() {
    let watched = watched();
    let failing = tower::service_fn(|_: Request<_>| async {
        Err::<axum::response::Response, _>(std::io::Error::from(std::io::ErrorKind::TimedOut))
    });
    let mut service = HttpMonitorLayer::new().layer(failing);
    let answer = block_on(&watched, async {
        service.call(request(Method::GET, "/", "")).await
    });
    assert!(answer.is_err());
    watched.check(&[
        (
            r#"llm_router_http_requests_total{method="GET",route="unmatched",status_code="504"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="http_request",error_type="timeout"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn connections_are_open_as_long_as_their_service_lives() {
    let watched = watched();
    let open = || sum(&watched.text(), "llm_router_active_connections", "http");
    block_on(&watched, async {
        let mut make = MonitorConnections::new(
            tower::service_fn(|()| async { Ok::<_, Infallible>(app(HttpOptions::default())) }),
            "http",
        );
        let first = make.call(()).await.unwrap();
        let second = make.call(()).await.unwrap();
        let clone = second.clone();
        assert_eq!(open(), 2.0);
        drop(first);
        drop(second);
        assert_eq!(open(), 1.0);
        drop(clone);
    });
    assert_eq!(open(), 0.0);
}

#[test]
fn a_task_that_outlives_its_handler_is_not_part_of_the_request() {
    let watched = watched();
    let left = std::sync::Arc::new(std::sync::Mutex::new(None));
    let leaves = {
        let left = std::sync::Arc::clone(&left);
        move || {
            *left.lock().unwrap() = Some(tracing::info_span!("background"));
            async { "done" }
        }
    };
    let app = Router::new()
        .route("/leaves", get(leaves))
        .layer(HttpMonitorLayer::new());
    block_on(&watched, async {
        let asked = request(Method::GET, "/leaves", "");
        let answer = app.oneshot(asked).await.unwrap();
        answer.into_body().collect().await.unwrap();
        assert_eq!(count(&watched, "200"), 1.0);
        check_none_in_flight(&watched);
        drop(left.lock().unwrap().take());
    });
    assert_eq!(count(&watched, "200"), 1.0);
}

#[test]
fn a_response_with_length_zero_is_complete_without_being_read() {
    let watched = watched();
    let nothing = || async {
        (
            [(header::CONTENT_LENGTH, "0")],
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
        )
    };
    let app = Router::new()
        .route("/nothing", get(nothing))
        .layer(HttpMonitorLayer::new());
    block_on(&watched, async {
        // As in hyper, which sends the head and drops the body.
        drop(
            app.oneshot(request(Method::GET, "/nothing", ""))
                .await
                .unwrap(),
        );
    });
    assert_eq!(count(&watched, "200"), 1.0);
    assert_eq!(count(&watched, "499"), 0.0);
}

/// Tests of traces of requests: the propagation from incoming to outgoing requests.
#[cfg(feature = "otlp")]
mod traces {
    use std::{convert::Infallible, sync::Arc, sync::Mutex};

    use axum::{Router, body::Body, http::HeaderMap, routing::get};
    use llm_observatory::{
        Config, Observatory, SpanRecord, TracesConfig,
        middleware::{
            client::HttpClientLayer,
            http::{HttpMonitorLayer, HttpOptions, Sampling},
        },
    };
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tracing_subscriber::prelude::*;

    const INCOMING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// Returns the `traceparent` of a handler's outgoing request, given the `incoming` one, and the spans of both.
    fn forwarded(incoming: Option<&str>, sampling: Sampling) -> (String, Vec<SpanRecord>) {
        let mut traces = TracesConfig::default();
        traces.exporters.clear();
        let mut config = Config::default()
            .with_traces(traces)
            .with_sampling_ratio(1.0);
        config.prometheus.enabled = false;
        config.health.enabled = false;
        config.query.enabled = false;
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let handler = {
            let seen = Arc::clone(&seen);
            move || async move {
                let upstream = service_fn(|request: http::Request<Body>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let headers: &HeaderMap = request.headers();
                        let value = headers.get("traceparent").unwrap();
                        seen.lock().unwrap().push_str(value.to_str().unwrap());
                        Ok::<_, Infallible>(http::Response::new(Body::empty()))
                    }
                });
                let upstream = HttpClientLayer::new("upstream").layer(upstream);
                let uri = "https://ann:s3cret@upstream:8443/v1/models?key=s3cret";
                let request = http::Request::builder().uri(uri).body(Body::empty());
                upstream.oneshot(request.unwrap()).await.unwrap();
            }
        };
        let options = HttpOptions::default().with_sampling(sampling);
        let app: Router = Router::new()
            .route("/chats/{id}", get(handler))
            .layer(HttpMonitorLayer::with_options(options));
        let mut request = http::Request::builder().uri("/chats/7?key=s3cret");
        if let Some(incoming) = incoming {
            request = request.header("traceparent", incoming);
        }
        let request = request.body(Body::empty()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async { app.oneshot(request).await.unwrap() });
        });
        observatory.shutdown_blocking();
        let live = observatory.traces();
        let recent = live.recent(1);
        let spans = recent
            .first()
            .map_or_else(Vec::new, |trace| live.spans(trace.trace_id));
        let seen = seen.lock().unwrap();
        (seen.clone(), spans)
    }

    #[test]
    fn a_request_that_is_not_sampled_is_not_traced_inside_a_span_that_is() {
        let mut traces = TracesConfig::default();
        traces.exporters.clear();
        let config = Config::default().without_server().with_traces(traces);
        let config = config.with_sampling_ratio(1.0);
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let connection = tracing::info_span!("connection_loop");
            runtime.block_on(async {
                for sampling in [Sampling::NONE, Sampling::ALL] {
                    let options = HttpOptions::default().with_sampling(sampling);
                    let app: Router = Router::new()
                        .route(
                            "/",
                            get(async || tracing::info_span!("work").in_scope(|| "")),
                        )
                        .layer(HttpMonitorLayer::with_options(options));
                    let request = http::Request::builder().uri("/").body(Body::empty());
                    let answer = app.oneshot(request.unwrap());
                    let answer = tracing::Instrument::instrument(answer, connection.clone());
                    drop(answer.await.unwrap());
                }
            });
        });
        observatory.shutdown_blocking();
        let live = observatory.traces();
        let [trace] = &live.recent(9)[..] else {
            panic!("one trace: {:?}", live.recent(9));
        };
        let names: Vec<_> = live
            .spans(trace.trace_id)
            .into_iter()
            .map(|span| span.name)
            .collect();
        // Of the two requests, only the second.
        assert_eq!(names, ["connection_loop", "GET /", "work"]);
    }

    #[test]
    fn spans_name_the_address_of_a_request_without_secrets() {
        let (_, spans) = forwarded(None, Sampling::ALL);
        let of = |kind: &str, name: &str| {
            let span = spans.iter().find(|span| span.kind == kind).unwrap();
            let found = span.attributes.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!(of("server", "http.route"), "/chats/{id}");
        assert_eq!(of("server", "url.path"), "/chats/7");
        assert_eq!(of("client", "url.full"), "https://upstream:8443/v1/models");
        assert!(!format!("{spans:?}").contains("s3cret"), "{spans:?}");
    }

    #[test]
    fn an_incoming_trace_continues_through_our_spans() {
        let (going, _) = forwarded(Some(INCOMING), Sampling::ALL);
        assert_eq!(going[..36], INCOMING[..36], "{going}");
        assert_ne!(going[36..52], INCOMING[36..52], "{going}");
        assert!(going.ends_with("-01"), "{going}");
        assert!(forwarded(None, Sampling::ALL).0.ends_with("-01"));
    }

    #[test]
    fn a_request_that_is_not_sampled_is_not_traced_whatever_its_parent() {
        for incoming in [None, Some(INCOMING)] {
            let (going, _) = forwarded(incoming, Sampling::NONE);
            assert!(going.ends_with("-00"), "{going}");
        }
    }
}
