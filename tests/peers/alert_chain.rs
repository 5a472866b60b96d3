//! Runs the example router beside the whole chain that it replaces, and as a part of that chain.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    alerts::receiver,
    process::{Folder, Process, free_port, get, is_here, wait_for},
    prometheus::Prometheus,
    router::start_with,
};

/// The rules of both sides.
const RULES: &str = r#"
groups:
- name: chain
  interval: 1s
  rules:
  - record: router:failures:ratio
    expr: |
      sum(rate(llm_router_model_inference_total{status=~"error|timeout"}[8s]))
        / sum(rate(llm_router_model_inference_total{status!="cancelled"}[8s]))
  - alert: InferencesFail
    expr: router:failures:ratio > 0.1
    for: 2s
    labels: { severity: critical, team: '{{ "ml" | toUpper }}' }
    annotations:
      summary: 'Inferences fail: more than {{ 0.1 | humanizePercentage }}'
"#;

/// An Alertmanager that is stopped at the end of the test.
struct Alertmanager {
    url: String,
    process: Process,
    _folder: Folder,
}

impl Alertmanager {
    /// Starts an Alertmanager that notifies `hook`, with the timing of our aggregation window of three seconds.
    fn start(name: &str, hook: &str, port: u16, more: &[String]) -> Self {
        let folder = Folder::new(name);
        let config = folder.file(
            "alertmanager.yml",
            &format!(
                "route: {{ receiver: hook, group_by: [alertname], group_wait: 3s, group_interval: 3s, repeat_interval: 4h }}\n\
                 receivers: [{{ name: hook, webhook_configs: [{{ url: '{hook}' }}] }}]\n"
            ),
        );
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.path={}",
                folder.0.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alertmanager = Self {
            url: format!("http://127.0.0.1:{port}"),
            process: Process(process),
            _folder: folder,
        };
        wait_for("Alertmanager", Duration::from_secs(30), || {
            get(&format!("{}/-/ready", alertmanager.url))
        });
        alertmanager
    }
}

type Bodies = Arc<Mutex<Vec<Value>>>;

/// Returns the first messages about this number of alerts.
fn told(bodies: &Bodies, count: usize) -> Vec<Value> {
    wait_for("a message", Duration::from_mins(1), || {
        let all = bodies.lock().unwrap();
        let is_meant = |body: &&Value| body["groupLabels"]["alertname"] == "InferencesFail";
        let of_it: Vec<Value> = all.iter().filter(is_meant).cloned().collect();
        (of_it.len() >= count).then_some(of_it)
    })
}

/// Removes the fields in which two senders must differ: names, addresses, times.
fn without_ids(body: &Value) -> Value {
    let mut body = body.clone();
    for key in ["receiver", "externalURL", "groupKey"] {
        body[key] = Value::Null;
    }
    for alert in body["alerts"].as_array_mut().unwrap() {
        alert["startsAt"] = Value::Null;
        alert["generatorURL"] = Value::Null;
        // While the alert fires, neither side sends an end time.
        if alert["endsAt"] != "0001-01-01T00:00:00Z" {
            alert["endsAt"] = json!("over");
        }
    }
    body
}

/// Returns the states and labels of the alerts under `/api/v1/alerts` of a server.
fn listed(server: &str) -> Vec<Value> {
    let answer = get(&format!("{server}/api/v1/alerts")).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let alerts = answer["data"]["alerts"].as_array().unwrap();
    let is_meant = |alert: &&Value| alert["labels"]["alertname"] == "InferencesFail";
    let bare = |alert: &Value| json!([alert["labels"], alert["annotations"], alert["state"]]);
    alerts.iter().filter(is_meant).map(bare).collect()
}

#[test]
fn the_same_rules_page_as_prometheus_and_alertmanager_do() {
    if !is_here("prometheus") || !is_here("prometheus-alertmanager") {
        return;
    }
    let ((our_hook, ours), (their_hook, theirs)) = (receiver(), receiver());
    let folder = Folder::new("chain");
    let rules = folder.file("rules.yml", RULES);
    let alone = ["--cluster.listen-address=".to_owned()];
    let alertmanager = Alertmanager::start("chain-am", &their_hook, free_port(), &alone);
    let router = start_with(
        &[
            "--speed",
            "20",
            "--fault-rate",
            "0.5",
            "--fault-for",
            "25s",
            "--exit-after",
            "90s",
        ],
        &[
            ("MONITORING_WEBHOOK_URL", &our_hook),
            ("OBSERVATORY_RULES", rules.to_str().unwrap()),
            ("OBSERVATORY_AGGREGATION_WINDOW", "3s"),
        ],
    );
    let more = format!(
        "rule_files: ['{}']\nalerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{}'] }}] }}] }}\n",
        rules.display(),
        alertmanager.url.trim_start_matches("http://"),
    );
    let prometheus = Prometheus::configured(&router.monitor, "chain-prometheus", &more);

    let (ours_firing, theirs_firing) = (told(&ours, 1), told(&theirs, 1));
    assert_eq!(ours_firing[0]["status"], "firing");
    assert_eq!(without_ids(&ours_firing[0]), without_ids(&theirs_firing[0]));
    let monitor = format!("http://{}", router.monitor);
    assert_eq!(listed(&monitor), listed(&prometheus.url));
    assert_eq!(listed(&monitor).len(), 1);

    let (ours_over, theirs_over) = (told(&ours, 2), told(&theirs, 2));
    assert_eq!(ours_over[1]["status"], "resolved");
    assert_eq!(without_ids(&ours_over[1]), without_ids(&theirs_over[1]));
    // No further messages arrive.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((told(&ours, 2).len(), told(&theirs, 2).len()), (2, 2));
}

#[test]
fn two_routers_and_two_alertmanagers_page_once_and_still_do_when_one_is_killed() {
    if !is_here("prometheus-alertmanager") {
        return;
    }
    let (hook, bodies) = receiver();
    let gossip = [free_port(), free_port()];
    let member = |at: usize| {
        [
            format!("--cluster.listen-address=127.0.0.1:{}", gossip[at]),
            format!("--cluster.peer=127.0.0.1:{}", gossip[1 - at]),
            "--cluster.settle-timeout=1s".to_owned(),
            "--cluster.gossip-interval=50ms".to_owned(),
            "--cluster.probe-interval=300ms".to_owned(),
            "--cluster.probe-timeout=200ms".to_owned(),
            "--cluster.peer-timeout=3s".to_owned(),
        ]
    };
    let mut first = Alertmanager::start("cluster-0", &hook, free_port(), &member(0));
    let second = Alertmanager::start("cluster-1", &hook, free_port(), &member(1));
    // Until the Alertmanagers have joined each other.
    std::thread::sleep(Duration::from_secs(3));
    let folder = Folder::new("cluster");
    let rules = folder.file("rules.yml", RULES);
    let urls = format!("{},{}", first.url, second.url);
    let replica = || {
        start_with(
            &[
                "--speed",
                "20",
                "--fault-rate",
                "0.5",
                "--fault-for",
                "20s",
                "--exit-after",
                "90s",
            ],
            &[
                ("OBSERVATORY_ALERTMANAGERS", &urls),
                ("OBSERVATORY_RULES", rules.to_str().unwrap()),
            ],
        )
    };
    let _replicas = [replica(), replica()];
    assert_eq!(told(&bodies, 1)[0]["status"], "firing");
    // The delay of the second node, and a margin.
    std::thread::sleep(Duration::from_secs(6));
    let firing = told(&bodies, 1);
    assert_eq!(firing.len(), 1, "{firing:#?}");
    assert_eq!(firing[0]["alerts"].as_array().unwrap().len(), 1);
    first.process.0.kill().unwrap();
    assert_eq!(told(&bodies, 2)[1]["status"], "resolved");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(told(&bodies, 2).len(), 2);
}
