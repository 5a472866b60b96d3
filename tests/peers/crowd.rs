//! Runs three thousand clients of all kinds that disconnect at any time: no gauge stays above zero.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    process::{block_on, total, wait_for},
    router,
};

const CLIENTS: u64 = 3_000;
const AT_ONCE: usize = 150;

/// One client: its request, and the time until it disconnects.
async fn visit(client: &reqwest::Client, base: &str, number: u64) {
    let mut random = StdRng::seed_from_u64(number);
    let kind = random.random_range(0..5);
    let tokens = if random.random_bool(0.3) { 4_000 } else { 30 };
    let body = |is_streaming: bool| {
        format!(
            r#"{{"model":"auto","stream":{is_streaming},"max_tokens":{tokens},"temperature":0,"messages":[{{"role":"user","content":"{number}"}}]}}"#
        )
    };
    let chat = format!("{base}/v1/chat/completions");
    let request = match kind {
        0 => client.get(format!("{base}/v1/models")),
        1 => client.get(format!("{base}/{number}/{}", random.random::<u64>())),
        2 => client.post(chat).body("{ no request"),
        3 => client.post(chat).body(body(false)),
        _ => client.post(chat).body(body(true)),
    };
    // Some clients read a few chunks, some read all of them, and some disconnect at any point.
    let most = if random.random_bool(0.5) {
        random.random_range(0..6)
    } else {
        usize::MAX
    };
    let patience = if random.random_bool(0.3) {
        Duration::from_millis(random.random_range(0..80))
    } else {
        Duration::from_secs(20)
    };
    let stay = async {
        let Ok(answer) = request.send().await else {
            return;
        };
        let mut chunks = answer.bytes_stream().take(most);
        while chunks.next().await.is_some() {}
    };
    let _ = tokio::time::timeout(patience, stay).await;
}

#[test]
fn three_thousand_clients_leave_every_gauge_at_zero() {
    let router = router::start(&["--no-client", "--speed", "20", "--fault-rate", "0.05"]);
    let base = format!("http://{}", router.address);
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        stream::iter(0..CLIENTS)
            .for_each_concurrent(AT_ONCE, |number| visit(&client, &base, number))
            .await;
    });
    let gauges = [
        "llm_router_active_inferences",
        "http_server_active_requests",
        "llm_router_active_connections",
    ];
    let text = wait_for("the end of everything", Duration::from_secs(20), || {
        Some(router.metrics())
            .filter(|text| gauges.iter().all(|gauge| total(text, gauge, "") == 0.0))
    });
    let requests = "llm_router_http_requests_total";
    for (labels, least) in [
        (r#"status_code="200""#, 500.0),
        (r#"status_code="499""#, 100.0),
        (r#"status_code="400""#, 100.0),
        (r#"route="unmatched""#, 100.0),
    ] {
        let found = total(&text, requests, labels);
        assert!(found >= least, "{labels}: {found}");
    }
    let inferences = "llm_router_model_inference_total";
    assert!(total(&text, inferences, "cancelled") >= 50.0);
    // Each client sent one request and is counted once. Some disconnected before their request arrived.
    assert!(total(&text, requests, "") <= CLIENTS as f64 + 1.0);
    let unmatched = text
        .lines()
        .filter(|line| line.starts_with(&format!("{requests}{{")) && line.contains("unmatched"));
    assert!(unmatched.count() <= 2, "404, and perhaps 499");
}
