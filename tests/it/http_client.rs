//! Tests the HTTP client middleware, for `reqwest` and for hyper through the tower layer, over real sockets.

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, http::StatusCode, routing::get};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use llm_observatory::middleware::client::{HttpClientLayer, MonitoredClient};
use tower::{Layer as _, ServiceExt as _};

use super::support::{Watched, sum, watched};

/// Starts a server on a free port, which runs as long as the runtime.
async fn server() -> String {
    let endless = || async {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"12345"))]);
        Body::from_stream(first.chain(stream::pending()))
    };
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/", axum::routing::post(|body: Bytes| async move { body }))
        .route("/busy", get(async || StatusCode::TOO_MANY_REQUESTS))
        .route("/down", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/endless", get(endless));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    format!("http://{address}")
}

fn block_on<T>(watched: &Watched, work: impl Future<Output = T>) -> T {
    watched.run(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    })
}

const SERIES: &str = "http_client_request_duration_seconds_count";

#[test]
fn an_upstream_is_measured_by_its_name_up_to_the_end_of_the_response() {
    let watched = watched();
    block_on(&watched, async {
        let base = server().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let upstream = MonitoredClient::new(client, "openai");
        let answer = upstream.get(&base).send().await.unwrap();
        assert_eq!(answer.url().as_str(), format!("{base}/"));
        assert_eq!(
            sum(&watched.text(), "http_client_active_requests", "openai"),
            1.0
        );
        assert_eq!(answer.text().await.unwrap(), "hello");
        let echo = upstream.post(&base).json("to").send().await.unwrap();
        assert_eq!(echo.bytes().await.unwrap(), "\"to\"");
        for path in ["busy", "down"] {
            let request = upstream.get(format!("{base}/{path}?user=secret"));
            drop(request.send().await.unwrap().bytes().await);
        }
        // Dropped in the middle of the response.
        let mut answer = upstream
            .get(format!("{base}/endless"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "12345");
        drop(answer);
        // No server listens there.
        assert!(upstream.get("http://127.0.0.1:1/").send().await.is_err());
        // The server is slower than the timeout.
        // Built by reqwest's own builder.
        let hurried = upstream
            .client()
            .get(format!("{base}/endless"))
            .timeout(Duration::from_millis(50));
        let hurried = upstream.send(hurried).await.unwrap().bytes().await;
        assert!(hurried.unwrap_err().is_timeout());
    });
    let text = watched.text();
    watched.check(&[
        (&format!(r#"{SERIES}{{http_request_method="GET",http_response_status_code="200",server_address="openai"}}"#), 2.0),
        (&format!(r#"{SERIES}{{http_request_method="POST",http_response_status_code="200",server_address="openai"}}"#), 1.0),
        (&format!(r#"{SERIES}{{error_type="429",http_request_method="GET",http_response_status_code="429",server_address="openai"}}"#), 1.0),
        (&format!(r#"{SERIES}{{error_type="503",http_request_method="GET",http_response_status_code="503",server_address="openai"}}"#), 1.0),
        (&format!(r#"{SERIES}{{error_type="connection_refused",http_request_method="GET",server_address="openai"}}"#), 1.0),
        (&format!(r#"{SERIES}{{error_type="timeout",http_request_method="GET",http_response_status_code="200",server_address="openai"}}"#), 1.0),
        (r#"http_client_request_body_size_bytes_sum{http_request_method="POST",http_response_status_code="200",server_address="openai"}"#, 4.0),
        (r#"http_client_response_body_size_bytes_sum{http_request_method="POST",http_response_status_code="200",server_address="openai"}"#, 4.0),
        // A refusal is a response of the upstream; failures of the transport and of the server are errors.
        (r#"llm_router_errors_total{component="http_client",error_type="503"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_client",error_type="connection_refused"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_client",error_type="timeout"}"#, 1.0),
    ]);
    assert_eq!(sum(&text, "llm_router_errors_total", ""), 3.0);
    assert_eq!(sum(&text, "http_client_active_requests", ""), 0.0);
    assert_eq!(
        sum(&text, "llm_router_http_requests_total", ""),
        0.0,
        "none was served here"
    );
    assert!(
        !text.contains("secret") && !text.contains("127.0.0.1"),
        "{text}"
    );
}

#[test]
fn the_layer_monitors_a_tower_client() {
    let watched = watched();
    block_on(&watched, async {
        let base = server().await;
        let executor = hyper_util::rt::TokioExecutor::new();
        let client = hyper_util::client::legacy::Client::builder(executor).build_http();
        let client = HttpClientLayer::new("vllm").layer(client);
        let request = axum::http::Request::post(&base)
            .body(Full::new(Bytes::from_static(b"twelve bytes")))
            .unwrap();
        let answer = client.oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "twelve bytes");
    });
    let labels =
        r#"{http_request_method="POST",http_response_status_code="200",server_address="vllm"}"#;
    watched.check(&[
        (&format!("{SERIES}{labels}"), 1.0),
        (
            &format!("http_client_request_body_size_bytes_sum{labels}"),
            12.0,
        ),
        (
            &format!("http_client_response_body_size_bytes_sum{labels}"),
            12.0,
        ),
    ]);
}
