//! Runs curl and wrk against the example router: the counts are equal on both sides.

use std::{process::Command, time::Duration};

use super::{
    process::{is_here, total, wait_for},
    router,
};

const REQUESTS: &str = "llm_router_http_requests_total";

#[test]
fn curl_and_the_middleware_count_the_same_bytes() {
    if !is_here("curl") {
        return;
    }
    let router = router::start(&["--no-client"]);
    let url = format!("http://{}/v1/chat/completions", router.address);
    let body = |tokens: u32| {
        format!(
            r#"{{"model":"auto","stream":true,"max_tokens":{tokens},"messages":[{{"role":"user","content":"Hello"}}]}}"#
        )
    };
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--no-buffer", "--output", "/dev/null"])
            .args([
                "--write-out",
                "%{http_code} %{size_download} %{size_upload}",
            ])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<f64> = text
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        (output.status.success(), numbers)
    };
    let (is_whole, numbers) = curl(&["--json", &body(30), &url]);
    assert!(is_whole && numbers[0] == 200.0, "{numbers:?}");
    let (is_whole, broken) = curl(&["--json", &body(100_000), "--max-time", "1", &url]);
    assert!(!is_whole, "it was to be cut off");
    // An unknown path with a query, and a method that is not allowed.
    let nowhere = format!("http://{}/etc/passwd?user=me", router.address);
    assert_eq!(curl(&[&nowhere]).1[0], 404.0);
    assert_eq!(curl(&["--request", "DELETE", &url]).1[0], 405.0);
    let route = r#"route="/v1/chat/completions""#;
    let text = wait_for(
        "the request that was cut off",
        Duration::from_secs(10),
        || {
            Some(router.metrics())
                .filter(|text| total(text, REQUESTS, r#"status_code="499""#) == 1.0)
        },
    );
    let of =
        |metric: &str, code: u32| total(&text, metric, &format!(r#"{route},status_code="{code}""#));
    assert_eq!(of(REQUESTS, 200), 1.0);
    assert_eq!(
        of("llm_router_http_response_size_bytes_sum", 200),
        numbers[1]
    );
    assert_eq!(
        of("llm_router_http_request_size_bytes_sum", 200),
        numbers[2]
    );
    // The last bytes that were sent may not have arrived.
    let sent = of("llm_router_http_response_size_bytes_sum", 499);
    assert!(
        sent >= broken[1] && sent < broken[1] + 65_536.0,
        "{sent} {broken:?}"
    );
    assert_eq!(
        total(&text, REQUESTS, r#"route="unmatched",status_code="404""#),
        1.0
    );
    assert_eq!(total(&text, REQUESTS, r#"method="DELETE""#), 1.0);
    assert!(!text.contains("passwd"));
    assert_eq!(total(&text, "http_server_active_requests", ""), 0.0);
}

#[test]
fn wrk_with_keep_alive_is_counted_request_by_request() {
    const CONNECTIONS: f64 = 20.0;
    if !is_here("wrk") {
        return;
    }
    let router = router::start(&["--no-client"]);
    let url = format!("http://{}/v1/models", router.address);
    let before = total(&router.metrics(), REQUESTS, r#"route="/v1/models""#);
    let output = Command::new("wrk")
        .args([
            "--threads",
            "2",
            "--connections",
            "20",
            "--duration",
            "3s",
            &url,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let done: f64 = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok())
        .expect(&said);
    assert!(done > 100.0 && !said.contains("Non-2xx"), "{said}");
    let text = wait_for("the connections to close", Duration::from_secs(10), || {
        Some(router.metrics())
            .filter(|text| total(text, "http_server_active_requests", "") == 0.0)
            .filter(|text| total(text, "llm_router_active_connections", "http") == 0.0)
    });
    let counted = total(&text, REQUESTS, r#"route="/v1/models""#) - before;
    // wrk does not count the requests in flight when it stops, at most one on each connection.
    assert!(
        (done..=done + CONNECTIONS).contains(&counted),
        "{done} {counted}"
    );
}
