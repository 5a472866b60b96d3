//! Makes the example router fail for a while: its alert fires, one webhook arrives, and the resolved webhook follows.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{
    process::{Folder, get, wait_for},
    router::start_with,
};

/// Rules in Prometheus's format, with windows short enough for a test.
const RULES: &str = r#"
groups:
- name: end-to-end
  interval: 1s
  rules:
  - record: router:failures:ratio
    expr: |
      sum(rate(llm_router_model_inference_total{status=~"error|timeout"}[8s]))
        / sum(rate(llm_router_model_inference_total{status!="cancelled"}[8s]))
  - alert: InferencesFail
    expr: router:failures:ratio > 0.1
    for: 2s
    labels: { severity: critical }
    annotations:
      summary: '{{ $value | humanizePercentage }} of the inferences fail'
"#;

/// Starts a receiver that records the bodies of its POSTs.
pub(super) fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(body) = take(&mut stream.unwrap()) else {
                continue;
            };
            kept.lock().unwrap().push(body);
        }
    });
    (url, bodies)
}

/// Reads one request and closes the connection.
fn take(stream: &mut TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(&*stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).ok()?;
    serde_json::from_slice(&body).ok()
}

#[test]
fn faults_fire_an_alert_that_pages_once_and_resolves_when_they_stop() {
    let (url, bodies) = receiver();
    let folder = Folder::new("alerts");
    let rules = folder.file("rules.yml", RULES);
    let router = start_with(
        &[
            "--speed",
            "20",
            "--fault-rate",
            "0.5",
            "--fault-for",
            "8s",
            "--exit-after",
            "45s",
        ],
        &[
            ("MONITORING_WEBHOOK_URL", &url),
            ("OBSERVATORY_RULES", rules.to_str().unwrap()),
            ("OBSERVATORY_AGGREGATION_WINDOW", "3s"),
        ],
    );
    let of_this_rule = |bodies: &[Value]| -> Vec<Value> {
        let is_ours = |body: &&Value| body["groupLabels"]["alertname"] == "InferencesFail";
        bodies.iter().filter(is_ours).cloned().collect()
    };
    let told = |count: usize| {
        wait_for("a message", Duration::from_mins(1), || {
            let told = of_this_rule(&bodies.lock().unwrap());
            (told.len() >= count).then_some(told)
        })
    };
    let firing = &told(1)[0];
    assert_eq!(firing["status"], "firing");
    assert_eq!(firing["version"], "4");
    assert_eq!(firing["commonLabels"]["severity"], "critical");
    let summary = firing["commonAnnotations"]["summary"].as_str().unwrap();
    assert!(summary.ends_with("% of the inferences fail"), "{summary}");
    let alerts = get(&format!("http://{}/api/v1/alerts", router.monitor)).unwrap();
    assert!(alerts.contains("InferencesFail"), "{alerts}");
    let resolved = &told(2)[1];
    assert_eq!(resolved["status"], "resolved");
    assert_eq!(
        resolved["alerts"][0]["fingerprint"],
        firing["alerts"][0]["fingerprint"]
    );
    assert_eq!(resolved["alerts"].as_array().unwrap().len(), 1);
}

/// The default rules in real time: a fifth of the responses fail for 75 s, and the alert of a model waits a minute. It
/// resolves when fewer than a tenth of all responses fail, after twice that time.
#[test]
fn a_default_rule_pages_after_its_minute_and_resolves_in_real_time() {
    let (url, bodies) = receiver();
    let start = SystemTime::now();
    let _router = start_with(
        &[
            "--speed",
            "20",
            "--fault-rate",
            "0.2",
            "--fault-for",
            "75s",
            "--exit-after",
            "300s",
        ],
        &[
            ("MONITORING_WEBHOOK_URL", &url),
            ("OBSERVATORY_AGGREGATION_WINDOW", "10s"),
        ],
    );
    // The first resolved group, and its earlier firing messages.
    let told = wait_for("the all-clear", Duration::from_mins(5), || {
        let bodies = bodies.lock().unwrap();
        let of_models = |body: &&Value| body["commonLabels"]["alertname"] == RULE;
        let over = bodies
            .iter()
            .filter(of_models)
            .find(|body| body["status"] == "resolved")?;
        let is_same = |body: &&Value| body["groupKey"] == over["groupKey"];
        Some(bodies.iter().filter(is_same).cloned().collect::<Vec<_>>())
    });
    let statuses: Vec<_> = told.iter().map(|body| &body["status"]).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    let firing = &told[0];
    let model = firing["groupLabels"]["model_id"].as_str().unwrap();
    let summary = firing["commonAnnotations"]["summary"].as_str().unwrap();
    assert!(summary.contains(model), "{summary}");
    assert!(firing["commonAnnotations"]["runbook_url"].is_string());
    let began = firing["alerts"][0]["startsAt"].as_str().unwrap();
    let began = humantime::parse_rfc3339_weak(began).unwrap();
    let waited = began.duration_since(start).unwrap();
    assert!(waited > Duration::from_mins(1), "{waited:?}");
    assert!(waited < Duration::from_mins(2), "{waited:?}");
}

const RULE: &str = "model_inference_failures";
