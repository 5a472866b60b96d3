//! Tests the gRPC middleware on both sides of a tonic connection over a real socket.

#[path = "../../examples/grpc_echo/echo.rs"]
mod echo;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use llm_observatory::middleware::grpc::{GrpcClientLayer, GrpcMonitorLayer};
use tonic::{Code, transport::Server};
use tower::{Layer as _, ServiceExt as _};

use self::echo::{Echo, EchoClient};
use super::support::{Watched, sum, watched};

fn block_on<T>(watched: &Watched, work: impl Future<Output = T>) -> T {
    watched.run(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    })
}

async fn serve() -> tonic::transport::Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let server = Server::builder()
        .layer(GrpcMonitorLayer::new())
        .add_service(Echo)
        .serve_with_incoming(incoming.boxed());
    tokio::spawn(server);
    tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// Waits, since the server notices a disconnect with a delay.
async fn settled(watched: &Watched) {
    for _ in 0..200 {
        if sum(&watched.text(), "http_server_active_requests", "") == 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const SERVER: &str = "rpc_server_call_duration_seconds_count";
const CLIENT: &str = "rpc_client_call_duration_seconds_count";

#[test]
fn calls_are_counted_on_both_sides_by_method_and_status() {
    let watched = watched();
    block_on(&watched, async {
        let channel = GrpcClientLayer::new("echo").layer(serve().await);
        let mut client = EchoClient::new(channel.clone());
        assert_eq!(client.unary("Unary", "hello").await.unwrap(), "hello");
        let refused = client.unary("Unary", "status:8").await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let failed = client.unary("Unary", "status:14").await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        for name in ["Nonsense", "Nothing"] {
            let unknown = client.unary(name, "hello").await.unwrap_err();
            assert_eq!(unknown.code(), Code::Unimplemented);
        }
        // Three requests, three responses.
        let answers = client.stream("Stream", vec!["a", "b", "c"]).await.unwrap();
        let answers: Vec<_> = answers.collect().await;
        assert_eq!(answers.len(), 3);
        // One request, five responses, a status in the trailers.
        let answers = client
            .stream("Stream", vec!["repeat:5", "status:13"])
            .await
            .unwrap();
        let answers: Vec<_> = answers.collect().await;
        assert_eq!(answers.len(), 6);
        assert!(answers[5].is_err());
        // The client disconnects in the middle of the responses.
        let mut answers = client.stream("Stream", vec!["endless"]).await.unwrap();
        answers.next().await.unwrap().unwrap();
        drop(answers);
        settled(&watched).await;
    });
    let echo = |side: &str, method: &str, status: &str| {
        let peer = if side == CLIENT {
            r#",server_address="echo""#
        } else {
            ""
        };
        let text = watched.text();
        let lines = text.lines().filter(|line| {
            line.starts_with(&format!("{side}{{"))
                && line.contains(&format!("rpc_method=\"{method}\""))
                && line.contains(&format!("rpc_response_status_code=\"{status}\""))
                && line.contains(peer.trim_start_matches(','))
        });
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum::<f64>()
    };
    for side in [SERVER, CLIENT] {
        assert_eq!(echo(side, "echo.Echo/Unary", "OK"), 1.0, "{side}");
        assert_eq!(
            echo(side, "echo.Echo/Unary", "RESOURCE_EXHAUSTED"),
            1.0,
            "{side}"
        );
        assert_eq!(echo(side, "echo.Echo/Unary", "UNAVAILABLE"), 1.0, "{side}");
        assert_eq!(echo(side, "echo.Echo/Stream", "OK"), 1.0, "{side}");
        assert_eq!(echo(side, "echo.Echo/Stream", "INTERNAL"), 1.0, "{side}");
        assert_eq!(echo(side, "echo.Echo/Stream", "CANCELLED"), 1.0, "{side}");
    }
    assert_eq!(echo(SERVER, "_OTHER", "UNIMPLEMENTED"), 2.0);
    watched.check(&[
        (r#"llm_router_http_requests_total{method="POST",route="/echo.Echo/Unary",status_code="200"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="POST",route="/echo.Echo/Unary",status_code="429"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="POST",route="/echo.Echo/Unary",status_code="503"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="POST",route="/echo.Echo/Stream",status_code="499"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="POST",route="unmatched",status_code="501"}"#, 2.0),
        (r#"llm_router_errors_total{component="http_request",error_type="UNAVAILABLE"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_client",error_type="UNAVAILABLE"}"#, 1.0),
        (r#"llm_router_grpc_messages_total{direction="received",rpc_method="echo.Echo/Unary",side="server"}"#, 3.0),
        (r#"llm_router_grpc_messages_total{direction="sent",rpc_method="echo.Echo/Unary",side="server"}"#, 1.0),
        (r#"llm_router_grpc_messages_total{direction="sent",rpc_method="echo.Echo/Unary",side="client"}"#, 3.0),
        (r#"llm_router_grpc_messages_total{direction="received",rpc_method="echo.Echo/Unary",side="client"}"#, 1.0),
    ]);
    let text = watched.text();
    assert_eq!(sum(&text, "http_server_active_requests", ""), 0.0);
    assert_eq!(sum(&text, "http_client_active_requests", ""), 0.0);
}

#[test]
fn random_methods_are_one_series() {
    let watched = watched();
    watched.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let routes = tonic::service::Routes::new(Echo).prepare();
        let service = GrpcMonitorLayer::new().layer(routes);
        runtime.block_on(async {
            for number in 0..5_000 {
                let request = http::Request::post(format!("/random.Service{number}/Method"))
                    .body(tonic::body::Body::empty())
                    .unwrap();
                drop(service.clone().oneshot(request).await.unwrap());
            }
        });
    });
    let text = watched.text();
    let series = text
        .lines()
        .filter(|line| line.starts_with("llm_router_http_requests_total{"));
    assert_eq!(series.count(), 1, "{text}");
    assert_eq!(
        sum(&text, "llm_router_http_requests_total", "unmatched"),
        5_000.0
    );
}
