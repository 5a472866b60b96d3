//! Installs the observatory, annotates one function, emits token events, and adds an alert rule.
//!
//! `cargo run --example quickstart`, then open the address that it prints.
use std::{thread::sleep, time::Duration};

use llm_observatory::{Config, Observatory, alerting::AlertRule};
use tracing::{Span, field::Empty, info, instrument};

#[instrument(
    name = "inference",
    skip_all,
    fields(model_id = "gpt-4o", model_type = "transformer", engine = "openai", prompt_tokens, status = Empty)
)]
fn generate(prompt: &str) -> String {
    Span::current().record("prompt_tokens", prompt.split(' ').count());
    let mut answer = String::new();
    for word in ["Making", "the", "invisible", "visible."] {
        sleep(Duration::from_millis(20));
        answer.push_str(word);
        info!(name: "token", count = 1); // the first token ends the time to first token; every token is counted
    }
    Span::current().record("status", "success");
    answer
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let observatory = Observatory::install(Config::load()?)?;
    let busy = "sum(rate(llm_router_tokens_generated_total[1m])) > 10";
    observatory
        .alerts()
        .add_rule(AlertRule::new("busy").expr(busy))?; // notified on standard error after half a minute
    let address = observatory.listen_address().ok_or("no server")?;
    info!("serving http://{address}/metrics and /api/v1/alerts");
    loop {
        generate("What does a monitoring system do?");
    }
}
