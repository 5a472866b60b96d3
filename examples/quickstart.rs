//! Install, annotate one function, emit a token event, look at `/metrics`.
//!
//! `cargo run --example quickstart`, then open what it prints.
use std::{thread::sleep, time::Duration};

use llm_observatory::{Config, Observatory};
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
        info!(name: "token", count = 1); // the first ends the time to first token; all are counted
    }
    Span::current().record("status", "success");
    answer
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let observatory = Observatory::install(Config::load()?)?;
    info!(
        "serving http://{}/metrics",
        observatory.listen_address().ok_or("no server")?
    );
    loop {
        generate("What does a monitoring system do?");
    }
}
