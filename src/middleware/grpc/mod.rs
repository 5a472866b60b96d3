//! gRPC, served and called, with tonic: unary and streaming both ways.
//!
//! ```no_run
//! use llm_observatory::middleware::grpc::{GrpcClientLayer, GrpcMonitorLayer};
//! use tonic::transport::{Endpoint, Server};
//! use tower::Layer as _;
//!
//! # async fn example() {
//! let server = Server::builder().layer(GrpcMonitorLayer::new()); // .add_service(…).serve(…)
//! let channel = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
//! let channel = GrpcClientLayer::new("greeter").layer(channel); // GreeterClient::new(channel)
//! # }
//! ```
//!
//! A call is an HTTP request whose route is its method and whose status code is the one that says the same as its
//! gRPC status (`google/rpc/code.proto`), so rules and panels for HTTP hold for it too; beside that stand the
//! conventions' `rpc_server_call_duration_seconds` and `rpc_client_call_duration_seconds` with gRPC's own status, and
//! `grpc_messages_total`. The status is that of the trailers. A call whose client leaves is `CANCELLED`.
//!
//! A method that the server does not have, `UNIMPLEMENTED` without any message, is `_OTHER`, its route `unmatched`:
//! anyone can think of names.

mod call;
mod client;
mod frames;
mod future;
mod server;

pub use self::{
    call::Call,
    client::{GrpcClient, GrpcClientLayer},
    frames::Messages,
    future::GrpcFuture,
    server::{GrpcMonitor, GrpcMonitorLayer},
};
