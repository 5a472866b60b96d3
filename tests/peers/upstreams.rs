//! Uses llmock and fakellm as upstreams: the adapters read third-party streams, and the router is tested with latency
//! and errors.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use llm_observatory::{
    Config, Format, Model, Observatory,
    instrument::{Anthropic, InferenceCall, OpenAi, Protocol, Sse},
    middleware::client::MonitoredClient,
};
use serde_json::Value;
use tracing_subscriber::prelude::*;

use super::{
    process::{Folder, Process, free_port, get, post, python_script, python_with, total, wait_for},
    router,
};

const REQUESTS: usize = 8;
/// The maximum delay between the adapter and the client behind it, in seconds.
const MAX_DELAY_SECONDS: f64 = 0.004;

fn llmock(arguments: &[&str]) -> Option<(Process, String)> {
    let program = python_script("llmock")?;
    let port = free_port().to_string();
    let child = Command::new(program)
        .args(["serve", "--host", "127.0.0.1", "--port", &port])
        .args(["--log-level", "warning", "--response-style", "varied"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let base = format!("http://127.0.0.1:{port}");
    wait_for("llmock", Duration::from_secs(30), || {
        get(&format!("{base}/v1/models"))
    });
    Some((Process(child), base))
}

fn fakellm() -> Option<(Process, Folder, String)> {
    let program = python_script("fakellm")?;
    let port = free_port().to_string();
    let folder = Folder::new("fakellm");
    let rules = "version: 1\ndefaults:\n  fallback: deterministic_echo\nrules: []\n";
    folder.file("fakellm.yaml", rules);
    let child = Command::new(program)
        .args(["serve", "--port", &port])
        .current_dir(&folder.0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("fakellm", Duration::from_secs(30), || {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok()
    });
    Some((Process(child), folder, format!("http://127.0.0.1:{port}")))
}

/// The results of a client for one stream.
struct StreamResult {
    first_content: f64,
    /// The provider's own final counts.
    output_tokens: Option<f64>,
    per_token: f64,
}

/// Streams a response, and parses it independently of the adapters.
async fn ask<P: Protocol>(
    client: &MonitoredClient,
    url: &str,
    body: &Value,
    protocol: P,
) -> StreamResult {
    let started = Instant::now();
    let inference = InferenceCall::new(Model::new("mock", "chat", "mock")).begin();
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("authorization", "Bearer test")
        .header("x-api-key", "test")
        .header("anthropic-version", "2023-06-01")
        .body(body.to_string())
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let mut stream = inference.stream(answer.bytes_stream(), Sse::new(protocol));
    let mut text = String::new();
    let mut first_content = None;
    let is_content = |text: &str| {
        text.lines().any(|line| {
            let Some(json) = line.strip_prefix("data: ") else {
                return false;
            };
            let event: Value = serde_json::from_str(json).unwrap_or_default();
            let of_chat = &event["choices"][0]["delta"]["content"];
            let contents = [of_chat, &event["delta"]["text"], &event["delta"]];
            contents
                .iter()
                .any(|content| content.as_str().is_some_and(|text| !text.is_empty()))
        })
    };
    while let Some(chunk) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
        if first_content.is_none() && is_content(&text) {
            first_content = Some(started.elapsed().as_secs_f64());
        }
    }
    let whole = started.elapsed().as_secs_f64();
    let first_content = first_content.expect(&text);
    let mut counts = text.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        let usages = [&event["usage"], &event["response"]["usage"]];
        usages.iter().find_map(|usage| {
            usage["completion_tokens"]
                .as_f64()
                .or(usage["output_tokens"].as_f64())
        })
    });
    let output_tokens = counts.next_back();
    StreamResult {
        first_content,
        output_tokens,
        per_token: (whole - first_content) / (output_tokens.unwrap_or(2.0) - 1.0),
    }
}

/// Checks that each bucket of a histogram holds the client's measurements, within the delay.
fn check_buckets(text: &str, metric: &str, measured: &[f64]) {
    let prefix = format!("llm_router_{metric}_bucket{{");
    let mut looked_at = 0;
    for line in text.lines().filter(|line| line.starts_with(&prefix)) {
        let bound = line
            .split("le=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let bound: f64 = bound.replace("+Inf", "inf").parse().unwrap();
        let count: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        let below = |bound: f64| measured.iter().filter(|value| **value <= bound).count();
        assert!(
            (below(bound)..=below(bound + MAX_DELAY_SECONDS)).contains(&count),
            "{metric} up to {bound}: {count}, but the client measured {measured:?}"
        );
        looked_at += 1;
    }
    assert!(looked_at > 5, "{metric} in\n{text}");
}

fn check_adapter<P: Protocol + Copy>(base: &str, path: &str, body: &Value, protocol: P) {
    let config = Config::default().without_server();
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let seen: Vec<StreamResult> = tracing::subscriber::with_default(subscriber, || {
        super::process::block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let client = MonitoredClient::new(client, "mock");
            let mut seen = Vec::new();
            for _ in 0..REQUESTS {
                seen.push(ask(&client, &format!("{base}{path}"), body, protocol).await);
            }
            seen
        })
    });
    let text = observatory.export_metrics(Format::Prometheus);
    let success = total(&text, "llm_router_model_inference_total", "success");
    assert_eq!(success, REQUESTS as f64, "{path}: {text}");
    assert_eq!(total(&text, "llm_router_active_inferences", ""), 0.0);
    let first: Vec<f64> = seen.iter().map(|seen| seen.first_content).collect();
    check_buckets(&text, "time_to_first_token_seconds", &first);
    if seen.iter().all(|seen| seen.output_tokens.is_some()) {
        let tokens: f64 = seen.iter().filter_map(|seen| seen.output_tokens).sum();
        assert_eq!(
            total(&text, "llm_router_tokens_generated_total", ""),
            tokens,
            "{path}"
        );
        let per_token: Vec<f64> = seen.iter().map(|seen| seen.per_token).collect();
        check_buckets(&text, "time_per_output_token_seconds", &per_token);
        assert_eq!(
            total(&text, "llm_router_token_source_total", "provider"),
            REQUESTS as f64
        );
    }
    let calls = "http_client_request_duration_seconds_count";
    assert_eq!(
        total(&text, calls, r#"server_address="mock""#),
        REQUESTS as f64
    );
}

fn chat() -> Value {
    serde_json::json!({
        "model": "gpt-4o", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "What does a monitoring system do?" }],
    })
}

fn message() -> Value {
    serde_json::json!({
        "model": "claude-sonnet-4-5", "stream": true, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "What does a monitoring system do?" }],
    })
}

#[test]
fn adapters_read_what_llmock_streams_and_time_it_as_its_client_does() {
    let Some((_llmock, base)) = llmock(&["--latency-ms", "60", "--stream-chunk-delay-ms", "15"])
    else {
        return;
    };
    check_adapter(&base, "/v1/chat/completions", &chat(), OpenAi);
    let responses = serde_json::json!({ "model": "gpt-4o", "stream": true, "input": "Hello?" });
    check_adapter(&base, "/v1/responses", &responses, OpenAi);
    check_adapter(&base, "/anthropic/v1/messages", &message(), Anthropic);
}

#[test]
fn adapters_read_what_fakellm_streams() {
    let Some((_fakellm, _folder, base)) = fakellm() else {
        return;
    };
    check_adapter(&base, "/v1/chat/completions", &chat(), OpenAi);
    check_adapter(&base, "/v1/messages", &message(), Anthropic);
}

/// Sends requests through the router; prints responses, and refusals by status.
const SCRIPT: &str = r#"
import sys, openai
client = openai.OpenAI(base_url=f"http://{sys.argv[1]}/v1", api_key="none", max_retries=0)
answered = refused = 0
for number in range(60):
    try:
        stream = client.chat.completions.create(model="gpt-4o", stream=True, messages=[{"role": "user", "content": f"Say {number}"}])
        for chunk in stream: pass
        answered += 1
    except openai.RateLimitError:
        refused += 1
print(answered, refused)
"#;

#[test]
fn refusals_of_an_upstream_are_counted_by_status_on_both_sides_of_the_router() {
    let Some(python) = python_with("openai") else {
        return;
    };
    let Some((_llmock, base)) = llmock(&["--latency-ms", "20"]) else {
        return;
    };
    let router = router::start(&["--no-client", "--upstream", &base]);
    // Not by `--error-rate`, which would also refuse the router its list of models at random.
    let refusals = r#"{"behaviors":[{"type":"fail","status":429,"times":17}]}"#;
    post(&format!("{base}/_llmock/scenario"), refusals.to_owned()).unwrap();
    let output = Command::new(&python)
        .args(["-c", SCRIPT, &router.address])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = said
        .split_whitespace()
        .map(|number| number.parse::<f64>().unwrap());
    let (Some(answered), Some(refused)) = (numbers.next(), numbers.next()) else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    assert_eq!((answered, refused), (43.0, 17.0));
    let text = router.metrics();
    let served = |code: u32| {
        let labels = format!(r#"route="/v1/chat/completions",status_code="{code}""#);
        total(&text, "llm_router_http_requests_total", &labels)
    };
    assert_eq!((served(200), served(429)), (answered, refused));
    let called = |code: u32| {
        let calls = "http_client_request_duration_seconds_count";
        let labels = format!(r#"http_request_method="POST",http_response_status_code="{code}""#);
        total(&text, calls, &labels)
    };
    assert_eq!((called(200), called(429)), (answered, refused));
    let inferences = |status: &str| total(&text, "llm_router_model_inference_total", status);
    assert_eq!(
        (inferences("success"), inferences("error")),
        (answered, refused)
    );
    assert_eq!(total(&text, "http_client_active_requests", ""), 0.0);
}
