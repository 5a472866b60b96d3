//! A gRPC service that echoes its requests, written by hand in the form that `tonic-build` generates, without protobuf.
//!
//! Messages are text. Some texts are commands: `status:14` fails with that status, `repeat:5` is answered five times,
//! `endless` is answered for ever.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, StreamingService, UnaryService},
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type TextStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// The service `echo.Echo`, with the methods `Unary` and `Stream`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Text);
            Ok(match request.uri().path() {
                "/echo.Echo/Unary" => grpc.unary(Echo, request).await,
                "/echo.Echo/Stream" => grpc.streaming(Echo, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl UnaryService<String> for Echo {
    type Response = String;
    type Future = BoxFuture<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move { answer(request.into_inner()).map(Response::new) })
    }
}

impl StreamingService<String> for Echo {
    type Response = String;
    type ResponseStream = TextStream;
    type Future = BoxFuture<Result<Response<TextStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let responses = request.into_inner().flat_map(|request| match request {
            Err(status) => stream::iter([Err(status)]).boxed(),
            Ok(request) => responses(request),
        });
        Box::pin(async move { Ok(Response::new(responses.boxed())) })
    }
}

fn responses(request: String) -> TextStream {
    if request == "endless" {
        let tick = || tokio::time::sleep(std::time::Duration::from_millis(5));
        return stream::repeat("again".to_owned())
            .then(move |again| async move {
                tick().await;
                Ok(again)
            })
            .boxed();
    }
    match request
        .strip_prefix("repeat:")
        .and_then(|times| times.parse().ok())
    {
        Some(times) => stream::iter(std::iter::repeat_n(Ok(request), times)).boxed(),
        None => stream::iter([answer(request)]).boxed(),
    }
}

fn answer(request: String) -> Result<String, Status> {
    match request
        .strip_prefix("status:")
        .and_then(|code| code.parse().ok())
    {
        Some(code) => Err(Status::new(Code::from_i32(code), "as you wish")),
        None => Ok(request),
    }
}

/// A client of [`Echo`].
#[derive(Debug)]
#[allow(dead_code, reason = "used by the tests only")]
pub(crate) struct EchoClient<S>(tonic::client::Grpc<S>);

#[allow(dead_code, reason = "used by the tests only")]
impl<S> EchoClient<S>
where
    S: tonic::client::GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(crate) fn new(service: S) -> Self {
        Self(tonic::client::Grpc::new(service))
    }

    pub(crate) async fn unary(&mut self, method: &str, message: &str) -> Result<String, Status> {
        self.ready().await?;
        let request = Request::new(message.to_owned());
        let answer = self.0.unary(request, path(method), Text).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn stream(
        &mut self,
        method: &str,
        messages: Vec<&'static str>,
    ) -> Result<Streaming<String>, Status> {
        self.ready().await?;
        let messages = stream::iter(messages.into_iter().map(str::to_owned));
        let answer = self
            .0
            .streaming(Request::new(messages), path(method), Text)
            .await?;
        Ok(answer.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))
    }
}

fn path(method: &str) -> http::uri::PathAndQuery {
    let path = format!("/echo.Echo/{method}");
    path.parse()
        .unwrap_or_else(|_| http::uri::PathAndQuery::from_static("/"))
}

/// A codec for text.
#[derive(Clone, Copy, Debug, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec())
            .map(Some)
            .map_err(|_| Status::invalid_argument("messages are text"))
    }
}
