//! Streams from the router with the official Python client, and disconnects.

use std::process::Command;

use super::{
    process::{python_with, wait_for},
    router,
};

/// Streams one response to its end and disconnects from another; prints the chunks of each that had content.
const SCRIPT: &str = r#"
import sys, openai
client = openai.OpenAI(base_url=f"http://{sys.argv[1]}/v1", api_key="none", max_retries=0)
ask = dict(model="auto", messages=[{"role": "user", "content": "Tell me about observability, at length."}], stream=True)
whole = client.chat.completions.create(**ask, max_tokens=40, stream_options={"include_usage": True})
usage = None
for chunk in whole:
    usage = chunk.usage or usage
broken = client.chat.completions.create(**ask, max_tokens=2000)
received = 0
for chunk in broken:
    if chunk.choices and chunk.choices[0].delta.content:
        received += 1
    if received == 10:
        broken.close()
        break
print(usage.completion_tokens, received)
"#;

#[test]
fn an_openai_client_that_streams_and_cancels_is_counted() {
    let Some(python) = python_with("openai") else {
        return;
    };
    let router = router::start(&["--no-client"]);
    let output = Command::new(&python)
        .args(["-c", SCRIPT, &router.address])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = said
        .split_whitespace()
        .map(|number| number.parse::<f64>().unwrap());
    let (Some(completed), Some(received)) = (numbers.next(), numbers.next()) else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    assert_eq!(completed, 40.0);
    // The server notices the disconnect at its next write.
    let text = wait_for(
        "the cancelled inference",
        std::time::Duration::from_secs(10),
        || {
            Some(router.metrics())
                .filter(|text| total(text, "model_inference_total", "status=\"cancelled\"") == 1.0)
        },
    );
    assert_eq!(
        total(&text, "model_inference_total", "status=\"success\""),
        1.0
    );
    assert_eq!(total(&text, "active_inferences", ""), 0.0);
    let sent = total(&text, "tokens_generated_total", "") - completed;
    assert!(
        sent >= received && sent < 2000.0,
        "{sent} sent, {received} received"
    );
}

fn total(text: &str, metric: &str, labels: &str) -> f64 {
    let prefix = format!("llm_router_{metric}{{");
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&prefix) && line.contains(labels));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}
