//! Tests `kill -9` right after an answer: every accepted change is in effect in the next process.
#![cfg(feature = "server")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use llm_observatory::{
    Config, Observatory,
    alerting::{AlertRule, Severity, SilenceRequest},
};
use serde_json::{Value, json};
use tracing_subscriber::Registry;

use crate::notify_support::{Directory, Process, now_ms};

/// The variable with the task of the child: `directory role number`.
const TASK: &str = "OBSERVATORY_ACCEPTED_TASK";
/// The number of kills for each kind of change.
const KILLS: usize = 30;

/// The process that is killed; not a test by itself. It prints a line after its change is accepted, or its address.
#[tokio::test]
#[ignore = "the crash tests start it"]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let (directory, role, number) = (words[0], words[1], words[2]);
    let mut config = Config::default().with_data_dir(directory);
    config.prometheus.listen = "127.0.0.1:0".parse().unwrap();
    config.alerting.rules = vec![AlertRule::new("always").expr("vector(1)")];
    let (_layer, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    let alerts = observatory.alerts();
    let labels = [("number", number)];
    let answer = match role {
        "serve" => observatory.listen_address().unwrap().to_string(),
        "trigger" => {
            let raised = alerts.trigger_durably("raised", Severity::Error, "by hand", &labels);
            format!("{:?}", raised.await)
        }
        "trigger-plain" => {
            let raised = alerts.trigger("raised", Severity::Error, "by hand", &labels);
            format!("{raised:?}")
        }
        "silence-plain" => format!("{:?}", alerts.silence(request(number)).is_ok()),
        "resolve" => format!("{:?}", alerts.resolve_durably("raised", &labels).await),
        "inspect" => {
            let raised = alerts.active();
            let numbers = raised.iter().filter_map(|alert| alert.labels.get("number"));
            let silences = alerts.silences();
            let comments = silences.iter().map(|silence| &silence.comment);
            let rules = alerts.rules();
            let mut rules = rules.iter().flat_map(|group| &group.rules);
            let always = rules.find(|rule| rule.name == "always").unwrap();
            json!({
                "raised": numbers.collect::<Vec<_>>(),
                "silences": comments.collect::<Vec<_>>(),
                "is_enabled": always.enabled,
            })
            .to_string()
        }
        other => panic!("no role {other}"),
    };
    println!("answer: {answer}");
    std::io::stdout().flush().unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
}

fn request(number: &str) -> SilenceRequest {
    let ends_at = now_ms() + 3_600_000;
    SilenceRequest::until(ends_at, format!("number=\"{number}\"")).because("ann", number)
}

/// Starts a child, and returns it with its answer.
fn start(directory: &Path, role: &str, number: usize) -> (Process, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "accepted::child", "--ignored", "--nocapture"])
        .env(TASK, format!("{} {role} {number}", directory.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let answer = lines.find_map(|line| Some(line.split_once("answer: ")?.1.to_owned()));
    (Process(child), answer.unwrap())
}

/// Starts a child, kills it right after its answer, and returns the answer.
fn kill_after(directory: &Path, role: &str, number: usize) -> String {
    let (mut child, answer) = start(directory, role, number);
    child.kill();
    answer
}

/// Starts a child, sends a request to it, and kills it right after the answer.
fn kill_after_request(directory: &Path, path: &str, body: &Value) -> Value {
    let (mut child, address) = start(directory, "serve", 0);
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn inspect(directory: &Path) -> Value {
    serde_json::from_str(&kill_after(directory, "inspect", 0)).unwrap()
}

/// Returns how many of the numbers below [`KILLS`] are missing.
fn lost(found: &Value) -> usize {
    let found = found.as_array().unwrap();
    let is_lost = |number: &usize| !found.contains(&number.to_string().into());
    (0..KILLS).filter(is_lost).count()
}

#[test]
fn an_accepted_change_survives_a_kill_right_after_the_answer() {
    let directory = Directory::new("accepted");
    for number in 0..KILLS {
        let silence = request(&number.to_string());
        let silence = serde_json::to_value(silence).unwrap();
        let answer = kill_after_request(directory.path(), "/api/observatory/silences", &silence);
        assert_eq!(answer["durable"], true, "{answer}");
        let answer = kill_after(directory.path(), "trigger", number);
        assert_eq!(answer, "Ok(())");
    }
    let found = inspect(directory.path());
    let (silences, raised) = (lost(&found["silences"]), lost(&found["raised"]));
    eprintln!("of {KILLS} each, {silences} silences and {raised} raised alerts were lost");
    assert_eq!((silences, raised), (0, 0));
    for number in 0..5 {
        let answer = kill_after(directory.path(), "resolve", number);
        assert_eq!(answer, "Ok(1)");
        let is_enabled = number % 2 == 1;
        let answer = kill_after_request(
            directory.path(),
            "/api/observatory/rules/always",
            &json!({ "enabled": is_enabled }),
        );
        assert_eq!(answer["durable"], true, "{answer}");
        let found = inspect(directory.path());
        assert_eq!(found["is_enabled"], is_enabled);
        assert_eq!(lost(&found["raised"]), number + 1);
    }
}

/// Measures the calls that do not wait for the disk; run it to compare.
#[test]
#[ignore = "a measurement without a limit"]
fn changes_without_a_flush() {
    let directory = Directory::new("accepted");
    for number in 0..KILLS {
        kill_after(directory.path(), "silence-plain", number);
        kill_after(directory.path(), "trigger-plain", number);
    }
    let found = inspect(directory.path());
    let (silences, raised) = (lost(&found["silences"]), lost(&found["raised"]));
    eprintln!("of {KILLS} each, {silences} silences and {raised} raised alerts were lost");
}
