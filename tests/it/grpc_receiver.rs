//! Tests the export of spans to a tonic server with tonic's default limits.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Buf as _;
use futures_util::{StreamExt as _, stream};
use llm_observatory::{Config, Format, Observatory, OtlpProtocol, TracesConfig};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest as Request, ExportTraceServiceResponse as Answer,
};
use prost::Message;
use tonic::{
    Code, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tracing_subscriber::prelude::*;

use super::support::sum;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// The response to the call with this number, and the number of spans in each call.
type Say = Arc<dyn Fn(usize) -> Result<(), Status> + Send + Sync>;
type Calls = Arc<Mutex<Vec<(Instant, usize)>>>;

/// A `TraceService`, written by hand in the form that `tonic-build` generates.
#[derive(Clone)]
struct TraceService {
    say: Say,
    calls: Calls,
}

impl NamedService for TraceService {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower::Service<http::Request<Body>> for TraceService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(Grpc::new(Protobuf).unary(service, request).await) })
    }
}

impl UnaryService<Request> for TraceService {
    type Response = Answer;
    type Future = BoxFuture<Result<Response<Answer>, Status>>;

    fn call(&mut self, request: tonic::Request<Request>) -> Self::Future {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.iter().flat_map(|resource| &resource.scope_spans);
        let spans = scopes.map(|scope| scope.spans.len()).sum();
        let mut calls = self.calls.lock().unwrap();
        calls.push((Instant::now(), spans));
        let answer = (self.say)(calls.len()).map(|()| Response::new(Answer::default()));
        Box::pin(async { answer })
    }
}

#[derive(Clone, Copy)]
struct Protobuf;

impl Codec for Protobuf {
    type Encode = Answer;
    type Decode = Request;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Protobuf {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, answer: Answer, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.encode(buffer).unwrap();
        Ok(())
    }
}

impl Decoder for Protobuf {
    type Item = Request;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Request>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(Request::decode(bytes).unwrap()))
    }
}

/// Starts a server on its own thread; returns its port and its calls.
fn serve(say: impl Fn(usize) -> Result<(), Status> + Send + Sync + 'static) -> (u16, Calls) {
    let calls = Calls::default();
    let service = TraceService {
        say: Arc::new(say),
        calls: Arc::clone(&calls),
    };
    let (started, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            started.send(listener.local_addr().unwrap().port()).unwrap();
            let incoming = stream::unfold(listener, |listener| async {
                let accepted = listener.accept().await.map(|(stream, _)| stream);
                Some((accepted, listener))
            });
            let server = Server::builder().add_service(service);
            server.serve_with_incoming(incoming.boxed()).await.unwrap();
        });
    });
    (port.recv().unwrap(), calls)
}

/// Returns the results of spans of the given sizes that are sent in one batch: exported, dropped, failed.
fn results(port: u16, bytes: &[usize], set: impl FnOnce(&mut TracesConfig)) -> [u64; 3] {
    let mut traces = TracesConfig::default();
    traces.otlp.protocol = OtlpProtocol::Grpc;
    traces.otlp.endpoint = Some(format!("http://127.0.0.1:{port}"));
    traces.batch.delay = Duration::from_mins(10);
    set(&mut traces);
    let mut config = Config::default().without_server().with_traces(traces);
    config.shutdown_timeout = Duration::from_secs(20);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for bytes in bytes {
            tracing::info_span!("step", note = "x".repeat(*bytes)).in_scope(|| ());
        }
    });
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    ["exported", "dropped", "failed"].map(|result| {
        let labels = format!("exporter=\"otlp\",result=\"{result}\"");
        sum(&text, "observatory_spans_total", &labels) as u64
    })
}

#[test]
fn a_batch_beyond_four_mebibytes_is_split() {
    let (port, calls) = serve(|_| Ok(()));
    let mut bytes = [100_000; 100];
    assert_eq!(results(port, &bytes, |_| ()), [100, 0, 0]);
    let parts: Vec<_> = calls.lock().unwrap().drain(..).map(|(_, n)| n).collect();
    assert_eq!(parts, [39, 39, 22]);
    // Without the split, the server refuses the whole batch.
    let whole = |traces: &mut TracesConfig| {
        traces.otlp.request_bytes = 100_000_000;
        traces.otlp.timeout = Duration::from_secs(1);
    };
    assert_eq!(results(port, &bytes, whole), [0, 0, 100]);
    // A span that is too large by itself affects no other span, and is not retried.
    bytes[50] = 5_000_000;
    let start = Instant::now();
    assert_eq!(results(port, &bytes, |_| ()), [99, 0, 1]);
    assert!(start.elapsed() < Duration::from_secs(8));
}

/// Encodes a `google.rpc.Status` with a `RetryInfo` of 300 ms in the wire format.
fn retry_info() -> Vec<u8> {
    let name = b"type.googleapis.com/google.rpc.RetryInfo";
    // { retry_delay: { nanos: 300,000,000 } }
    let info = [0x0a, 0x06, 0x10, 0x80, 0xc6, 0x86, 0x8f, 0x01];
    let any = [
        &[0x0a, name.len() as u8][..],
        name,
        &[0x12, info.len() as u8],
        &info,
    ]
    .concat();
    [&[0x1a, any.len() as u8][..], &any].concat()
}

#[test]
fn a_server_without_capacity_is_retried_only_after_its_retry_info() {
    let (port, calls) = serve(|call| match call {
        1 => Err(Status::with_details(
            Code::ResourceExhausted,
            "full",
            retry_info().into(),
        )),
        _ => Ok(()),
    });
    assert_eq!(results(port, &[1; 5], |_| ()), [5, 0, 0]);
    let calls = calls.lock().unwrap();
    let [(first, 5), (second, 5)] = calls[..] else {
        unreachable!("{calls:?}");
    };
    assert!(second - first >= Duration::from_millis(300), "{calls:?}");
    let (port, calls) = serve(|_| Err(Status::resource_exhausted("full")));
    assert_eq!(results(port, &[1; 5], |_| ()), [0, 0, 5]);
    assert_eq!(calls.lock().unwrap().len(), 1);
}
