//! A batch job without an async runtime: counts its work, raises an alert, and delivers both before it ends.
//!
//! `cargo run --example batch_job`. With `MONITORING_WEBHOOK_URL` or `SLACK_WEBHOOK_URL` the alert goes there, otherwise
//! to standard error.
use std::{thread::sleep, time::Duration};

use llm_observatory::{Config, Format, Observatory};
use tracing::{error, info, info_span};

/// Summarises a document, or fails for a document that is too long.
fn summarise(document: &str) -> Result<usize, String> {
    sleep(Duration::from_millis(20));
    let words = document.split(' ').count();
    if words > 5 {
        return Err(format!("{words} words"));
    }
    Ok(words)
}

#[expect(clippy::print_stdout, reason = "the job prints its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A job that ends by itself needs no server.
    let observatory = Observatory::install(Config::load()?.without_server())?;
    let documents = ["one two", "one two three", "one two three four five six"];
    for document in documents {
        let span = info_span!(
            "inference",
            model_id = "llama-3.1-8b",
            engine = "vllm",
            tokens = tracing::field::Empty
        );
        span.in_scope(|| match summarise(document) {
            Ok(words) => {
                span.record("tokens", words);
                info!(monotonic_counter.documents = 1, result = "summarised");
            }
            // An ERROR event marks the span as failed. `alert.rule` raises an alert.
            Err(reason) => {
                info!(monotonic_counter.documents = 1, result = "failed");
                error!(
                    alert.rule = "document_failed",
                    reason, "a document cannot be summarised"
                );
            }
        });
    }
    let metrics = observatory.export_metrics(Format::Prometheus);
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("documents_total"))
    {
        println!("{line}");
    }
    // Delivers what is waiting: the alert and the spans.
    observatory.shutdown_blocking();
    Ok(())
}
