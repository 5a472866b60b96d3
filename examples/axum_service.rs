//! An axum service: each request, each inference and each streamed token is observed.
//!
//! `cargo run --features http --example axum_service`, then
//! `curl -N -d 'What does a monitoring system do?' 127.0.0.1:8080/v1/completions`, and open <http://127.0.0.1:9090>.
use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use llm_observatory::{Config, Model, MonitorOptions, Observatory, instrument::InferenceCall};

/// Sends the prompt back word by word, in place of a model.
async fn complete(prompt: String) -> Body {
    let inference = InferenceCall::new(Model::new("echo-1", "transformer", "echo")).begin();
    Body::from_stream(async_stream::stream! {
        for word in prompt.split_inclusive(' ') {
            tokio::time::sleep(Duration::from_millis(50)).await;
            inference.tokens(1);
            yield Ok::<_, Infallible>(Bytes::copy_from_slice(word.as_bytes()));
        }
        // If the client disconnects before, the stream is dropped, and the inference counts as cancelled.
        inference.succeed();
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let observatory = Observatory::install(Config::load()?)?;
    let app = Router::new().route("/v1/completions", post(complete));
    let app = observatory.monitor(app, MonitorOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    tracing::info!("POST a prompt to http://127.0.0.1:8080/v1/completions");
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped)
        .await?;
    observatory.shutdown().await;
    Ok(())
}
