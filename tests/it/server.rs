//! Tests the server over real sockets.
#![cfg(feature = "server")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use llm_observatory::{BuildError, Config, Observatory, StartError};
use tracing_subscriber::Registry;

fn serving() -> (Observatory, SocketAddr) {
    let config = Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_series_limit(100_000);
    let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    let address = observatory.listen_address().unwrap();
    (observatory, address)
}

/// Returns the head and the body of the response to a request with these headers.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    (
        String::from_utf8_lossy(&answer[..end]).to_lowercase(),
        answer[end + 4..].to_vec(),
    )
}

#[test]
fn each_path_answers_and_unknown_paths_list_the_endpoints() {
    let (_observatory, address) = serving();
    let (head, body) = get(address, "/metrics", "");
    assert!(
        head.starts_with("http/1.0 200") && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("observatory_build_info{service_name=\"llm-router\"")
    );
    let (head, body) = get(
        address,
        "/metrics",
        "accept: application/openmetrics-text;version=1.0.0\r\n",
    );
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with(b"# EOF\n"));
    for (path, expected) in [
        ("/metrics?format=json", "\"name\":"),
        ("/metrics?format=opentelemetry", "resourceMetrics"),
        ("/health", "\"healthy\""),
        ("/status", "\"service\""),
        ("/", "<!doctype html>"),
    ] {
        let (head, body) = get(address, path, "");
        assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
        assert!(String::from_utf8_lossy(&body).contains(expected), "{path}");
    }
    let (head, body) = get(address, "/health", "accept: application/health+json\r\n");
    assert!(
        head.contains("application/health+json")
            && String::from_utf8_lossy(&body).contains("\"pass\"")
    );
    let (head, body) = get(address, "/metrics?format=xml", "");
    assert!(
        head.starts_with("http/1.0 400") && String::from_utf8_lossy(&body).contains("openmetrics"),
        "{head}"
    );
    let (head, body) = get(address, "/nowhere", "");
    assert!(
        head.starts_with("http/1.0 404") && String::from_utf8_lossy(&body).contains("/metrics"),
        "{head}"
    );
}

#[test]
fn gzip_is_the_same_text() {
    let (observatory, address) = serving();
    for user in 0..20_000 {
        metrics::with_local_recorder(&observatory.recorder(), || {
            metrics::counter!("hits", "user" => user.to_string()).increment(1);
        });
    }
    let (head, body) = get(address, "/metrics", "accept-encoding: gzip\r\n");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*body)
        .read_to_string(&mut text)
        .unwrap();
    let (_, plain) = get(address, "/metrics", "");
    let hits = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("hits_total"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(hits(&text).len(), 20_000);
    assert_eq!(hits(&text), hits(std::str::from_utf8(&plain).unwrap()));
}

#[test]
fn the_server_answers_while_the_runtime_is_blocked_and_clients_do_not_read() {
    let (observatory, address) = serving();
    for user in 0..20_000 {
        metrics::with_local_recorder(&observatory.recorder(), || {
            metrics::counter!("hits", "user" => user.to_string()).increment(1);
        });
    }
    let mut lazy: Vec<TcpStream> = (0..2)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for stream in &mut lazy {
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Nothing in this block yields.
        let (head, _) = get(address, "/health", "");
        assert!(head.starts_with("http/1.0 200"), "{head}");
        let (head, body) = get(address, "/metrics", "");
        assert!(
            head.starts_with("http/1.0 200") && body.len() > 100_000,
            "{head}"
        );
    });
    let start = std::time::Instant::now();
    observatory.shutdown_blocking();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "lazy clients do not hold up the end: {:?}",
        start.elapsed()
    );
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_port_in_use_is_an_error_that_names_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let built = Observatory::builder(Config::default().with_listen(address)).build::<Registry>();
    let Err(BuildError::Start(error @ StartError::Listen { .. })) = built else {
        panic!("{built:?}")
    };
    let error = error.to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("OBSERVATORY_LISTEN"),
        "{error}"
    );
}

#[cfg(feature = "alerting")]
mod actions {
    use super::*;

    /// Returns the status line and the body of the response to a request.
    fn ask(address: SocketAddr, request: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    const JSON: &str = "content-type: application/json\r\n";

    #[test]
    fn rules_are_switched_and_alerts_silenced_over_http() {
        let (_observatory, address) = serving();
        let rule = "POST /api/observatory/rules/high_error_rate";
        let (status, body) = ask(address, rule, JSON, r#"{"enabled": false}"#);
        assert!(status.contains("200"), "{status} {body}");
        let (_, rules) = ask(
            address,
            "GET /api/v1/rules?rule_name[]=high_error_rate",
            "",
            "",
        );
        assert!(rules.contains("\"enabled\":false"), "{rules}");
        let unknown = "POST /api/observatory/rules/nothing";
        let (status, body) = ask(address, unknown, JSON, r#"{"enabled": false}"#);
        assert!(
            status.contains("404") && body.contains("nothing"),
            "{status} {body}"
        );
        let silence = r#"{"matchers": ["alertname=x"], "startsAt": 0, "endsAt": 99999999999999, "createdBy": "me", "comment": "why"}"#;
        let set = "POST /api/observatory/silences";
        let (status, body) = ask(address, set, JSON, silence);
        assert!(status.contains("200"), "{status} {body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        // The observatory has no data directory.
        assert_eq!(answer["durable"], false, "{body}");
        let id = answer["silenceID"].as_str().unwrap().to_owned();
        let (_, silences) = ask(address, "GET /api/observatory/silences", "", "");
        assert!(silences.contains(&id), "{silences}");
        let expire = format!("DELETE /api/observatory/silences/{id}");
        assert!(ask(address, &expire, "", "").0.contains("200"));
        let (status, body) = ask(address, set, JSON, &silence.replace("alertname=x", "=x"));
        assert!(
            status.contains("400") && body.contains("matchers"),
            "{status} {body}"
        );
        let (status, body) = ask(
            address,
            "POST /api/observatory/alerts/acknowledge",
            JSON,
            r#"{"matchers": "alertname=\"x\"", "by": "me"}"#,
        );
        assert!(
            status.contains("400") && body.contains("no firing alert matches"),
            "{body}"
        );
        let (status, body) = ask(
            address,
            "POST /api/observatory/channels/console/test",
            JSON,
            "",
        );
        assert!(
            status.contains("200") && body.contains("\"ok\": true"),
            "{status} {body}"
        );
        for (path, expected) in [
            ("/api/observatory/alerts", "\"groups\""),
            ("/api/observatory/alerts/history?limit=5", "["),
            ("/api/observatory/alerts/statistics", "noisiest"),
            ("/api/observatory/export/rules", "groups:"),
            ("/api/observatory/export/alertmanager", "route:"),
            ("/api/v1/alerts", "\"alerts\":[]"),
        ] {
            let (status, body) = ask(address, &format!("GET {path}"), "", "");
            assert!(
                status.contains("200") && body.contains(expected),
                "{path}: {status} {body}"
            );
        }
        let (status, body) = ask(
            address,
            "GET /api/observatory/alerts/history?severity=bad",
            "",
            "",
        );
        assert!(
            status.contains("400") && body.contains("critical"),
            "{status} {body}"
        );
    }

    #[test]
    fn changes_need_the_token_or_a_loopback_address_and_json() {
        let (_observatory, address) = serving();
        let rule = "POST /api/observatory/rules/high_error_rate";
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        assert!(ask(address, rule, form, "enabled=false").0.contains("415"));
        let mut config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
        config.alerting.api_token = Some(llm_observatory::Secret::new("canary"));
        let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
        let address = observatory.listen_address().unwrap();
        let off = r#"{"enabled": false}"#;
        let with = |token: &str| format!("{JSON}authorization: Bearer {token}\r\n");
        assert!(ask(address, rule, JSON, off).0.contains("401"));
        assert!(ask(address, rule, &with("canari"), off).0.contains("401"));
        assert!(ask(address, rule, &with("canary"), off).0.contains("200"));
        // Requests from other machines are refused without a token.
        let config = Config::default().with_listen("0.0.0.0:0".parse().unwrap());
        let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
        let port = observatory.listen_address().unwrap().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (status, body) = ask(address, rule, JSON, off);
        assert!(
            status.contains("403") && body.contains("OBSERVATORY_TOKEN"),
            "{status} {body}"
        );
        let (_, status) = ask(address, "GET /status", "", "");
        assert!(!status.contains("canary"), "{status}");
    }
}
