//! A gRPC service that forwards calls and has no code for traces: the middleware on both sides propagates them.

#[path = "../../../examples/grpc_echo/echo.rs"]
mod echo;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream};
use llm_observatory::{
    Observatory, Propagator,
    middleware::grpc::{GrpcClientLayer, GrpcMonitorLayer},
};
use tonic::{
    body::Body,
    server::NamedService,
    transport::{Channel, Endpoint, Server},
};
use tower::{Layer as _, Service, ServiceExt as _};

use self::echo::{Echo, EchoClient};
use super::start_with;
use crate::{
    process::{block_on, wait_for},
    traces::{Collector, PATIENCE, rotel, spans},
};

/// Forwards calls to the next service under `echo.Echo`; answers itself if there is no next service.
#[derive(Clone)]
struct Relay(Option<Channel>);

impl NamedService for Relay {
    const NAME: &'static str = Echo::NAME;
}

impl Service<http::Request<Body>> for Relay {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(next) = self.0.clone() else {
            return Echo.call(request);
        };
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // No header of the incoming call is copied, so the trace context must be injected anew.
            let mut asked = http::Request::post(head.uri).version(http::Version::HTTP_2);
            for name in [http::header::CONTENT_TYPE, http::header::TE] {
                asked = asked.header(&name, &head.headers[&name]);
            }
            let next = GrpcClientLayer::new("next").layer(next);
            let answered = next.oneshot(asked.body(body).unwrap()).await.unwrap();
            Ok(answered.map(Body::new))
        })
    }
}

async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}

/// Serves until the process is killed.
pub(super) async fn serve(next: Option<String>, observatory: &Observatory) {
    let next = match next {
        Some(url) => Some(connect(&url).await),
        None => None,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, metrics) = (listener.local_addr().unwrap(), observatory.listen_address());
    eprintln!("\nlistening {own} {}", metrics.unwrap());
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    Server::builder()
        .layer(GrpcMonitorLayer::new())
        .add_service(Relay(next))
        .serve_with_incoming(incoming.boxed())
        .await
        .unwrap();
}

#[test]
fn three_tonic_processes_are_one_trace_by_the_middleware_alone() {
    let Some(rotel) = rotel() else { return };
    for propagator in [
        Propagator::TraceContext,
        Propagator::B3,
        Propagator::B3Multi,
    ] {
        let collector = Collector::start(&rotel, "traces");
        let start =
            |role: &str, next: &str| start_with("grpc", [role, next], &collector, propagator);
        let (_engine, engine, _) = start("engine", "");
        let (_second, second, _) = start("second", &engine);
        let (_first, first, _) = start("first", &second);
        let answer = block_on(async {
            let mut client = EchoClient::new(connect(&first).await);
            client.unary("Unary", "hello").await.unwrap()
        });
        assert_eq!(answer, "hello");
        let log = wait_for("five spans", PATIENCE, || {
            let log = collector.log();
            (spans(&log).len() >= 5).then_some(log)
        });
        let spans = spans(&log);
        assert_eq!(spans.len(), 5, "{propagator:?}: {log}");
        let by_parent: BTreeMap<&str, _> = spans
            .iter()
            .map(|span| (span["Parent ID"].as_str(), span))
            .collect();
        // From the root on, in call order: each span except the last has one child.
        let mut parent = "";
        for kind in ["SERVER", "CLIENT", "SERVER", "CLIENT", "SERVER"] {
            let span = by_parent[parent];
            assert!(span["Kind"].contains(kind), "{propagator:?}: {log}");
            assert_eq!(span["Name"], "echo.Echo/Unary");
            assert_eq!(
                span["Trace ID"], spans[0]["Trace ID"],
                "{propagator:?}: {log}"
            );
            parent = &span["ID"];
        }
        for role in ["first", "second", "engine"] {
            assert!(log.contains(role), "{role} is not in {log}");
        }
    }
}
