//! Middleware for tonic servers and clients, for unary and streaming calls.
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
//! A call is recorded as an HTTP request: its route is the gRPC method, and its status code is the HTTP code that
//! `google/rpc/code.proto` gives for the gRPC status. Rules and panels for HTTP therefore cover gRPC calls. The metrics
//! of the semantic conventions, `rpc_server_call_duration_seconds` and `rpc_client_call_duration_seconds`, carry the
//! gRPC status itself, and `grpc_messages_total` counts messages. The status is taken from the trailers. A call whose
//! client disconnects is recorded as `CANCELLED`.
//!
//! A method that the server does not implement (`UNIMPLEMENTED` without any message) is recorded as `_OTHER` with the
//! route `unmatched`, since a client can send any number of invented method names.

mod call;
mod client;
mod frames;
mod server;

pub use self::{
    client::{GrpcClient, GrpcClientLayer},
    frames::Messages,
    server::{GrpcMonitor, GrpcMonitorLayer},
};
