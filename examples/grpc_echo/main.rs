//! Runs a monitored gRPC server: `cargo run --example grpc_echo --features grpc [ADDRESS]`.
//!
//! Clients in any language can call it. `/metrics` is at the address that the example prints.

mod echo;

use futures_util::{StreamExt as _, stream};
use llm_observatory::{Config, Observatory, middleware::grpc::GrpcMonitorLayer};
use tokio::net::TcpListener;
use tonic::transport::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let observatory = Observatory::install(Config::load()?)?;
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:50051")).await?;
    eprintln!(
        "serving echo.Echo at {}, http://{}/metrics",
        listener.local_addr()?,
        observatory.listen_address().ok_or("no server")?
    );
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    Server::builder()
        .layer(GrpcMonitorLayer::new())
        .add_service(echo::Echo)
        .serve_with_incoming(incoming.boxed())
        .await?;
    Ok(())
}
