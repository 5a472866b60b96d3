//! Runs the built command: on files, and against a running observatory.
#![allow(
    clippy::similar_names,
    reason = "`text` is the output, and `test` a rule test"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use llm_observatory::{Config, Observatory};

/// A directory that is removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("observatory-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(directory: &Directory, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_llm-observatory"))
        .args(arguments)
        .current_dir(&directory.0)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Runs a command and returns its exit code and its standard output.
#[track_caller]
fn result(directory: &Directory, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = run(directory, arguments, variables);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_valid_configuration_is_valid_and_the_command_says_what_it_did_not_check() {
    let directory = Directory::new("valid");
    directory.write(
        "observatory.yaml",
        "preset: vps\nprometheus: {prefix: mine_}\n",
    );
    let (code, text) = result(&directory, &["check-config"], &[]);
    assert_eq!(
        text,
        "The configuration is valid.\n\
         Not checked: that the address of the server is free, that remote systems answer\n\
         (test-channel does that), and that the data directory can be written.\n"
    );
    assert_eq!(code, 0);
    assert!(
        !directory.0.join("observatory-data").exists(),
        "nothing is written"
    );
}

#[test]
fn every_problem_of_a_configuration_is_printed_with_its_place() {
    let directory = Directory::new("invalid");
    directory.write("other.yaml", "tick: 1ms\nprometheus: {prefx: a_}\n");
    let variables = [("OBSERVATORY_SERIES_LIMIT", "0")];
    let (code, text) = result(&directory, &["check-config", "other.yaml"], &variables);
    assert_eq!(
        text,
        "other.yaml:2: prometheus.prefx is not a key of the configuration; did you mean `prefix`?\n\
         other.yaml:1: tick is 1ms, but must be at least 100ms\n\
         prometheus.series_limit is 0, but must be from 1 to 1000000 (from OBSERVATORY_SERIES_LIMIT)\n"
    );
    assert_eq!(code, 1);
    let (code, text) = result(
        &directory,
        &["--json", "check-config", "other.yaml"],
        &variables,
    );
    assert!(
        code == 1 && text.contains("\"origin\": \"other.yaml:2\""),
        "{text}"
    );
    let (code, text) = result(&directory, &["check-config", "absent.yaml"], &[]);
    assert!(
        code == 1 && text.starts_with("absent.yaml cannot be read"),
        "{text}"
    );
}

#[test]
fn rules_routes_and_channels_of_the_configuration_are_checked() {
    let directory = Directory::new("build");
    directory.write(
        "observatory.yaml",
        "alerting:\n  routing:\n    route: {receiver: ops}\n    receivers: [{name: ops, channels: [slak]}]\n",
    );
    let (code, text) = result(&directory, &["check-config"], &[]);
    assert!(code == 1 && text.contains("slak"), "{text}");
}

#[test]
fn the_origin_of_every_value_is_printed_also_for_an_invalid_configuration() {
    let directory = Directory::new("print");
    directory.write("observatory.yaml", "tick: 1ms\nservice: {name: mine}\n");
    let output = run(
        &directory,
        &["print-config"],
        &[("OBSERVATORY_ENV", "vps"), ("OBSERVATORY_TOKEN", "hunter2")],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "  name: mine                                # observatory.yaml:2",
        "  environment: vps                          # preset vps",
        "  #api_token: \"***\"                         # OBSERVATORY_TOKEN",
        "log_filter: info                            # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("hunter2"));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        errors,
        "observatory.yaml:1: tick is 1ms, but must be at least 100ms\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn rules_are_checked_tested_and_exported() {
    let directory = Directory::new("rules");
    let rules = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 1m\n";
    directory.write("rules.yml", rules);
    directory.write("wrong.yml", &rules.replace("up == 0", "up =="));
    let test = |state: &str| {
        format!(
            "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  input_series:\n  - {{series: up, values: '0 0 0'}}\n  alert_rule_test:\n  - {{eval_time: 2m, alertname: {state}, exp_alerts: [{{exp_labels: {{}}}}]}}\n"
        )
    };
    directory.write("right_test.yml", &test("Down"));
    directory.write("wrong_test.yml", &test("Up"));
    let (code, text) = result(&directory, &["check-rules", "rules.yml"], &[]);
    assert_eq!((code, text.as_str()), (0, "rules.yml: 1 rules found\n"));
    let (code, text) = result(&directory, &["check-rules", "rules.yml", "wrong.yml"], &[]);
    assert!(code == 1 && text.contains("wrong.yml"), "{text}");
    let (code, text) = result(&directory, &["test-rules", "right_test.yml"], &[]);
    assert!(code == 0 && text.contains("SUCCESS"), "{text}");
    let (code, text) = result(&directory, &["test-rules", "wrong_test.yml"], &[]);
    assert!(code == 1 && text.contains("FAILED"), "{text}");
    let variables = [("OBSERVATORY_RULES", "rules.yml")];
    let (code, text) = result(&directory, &["export", "prometheus-rules"], &variables);
    assert!(
        code == 0 && text.contains("Down") && text.contains("high_error_rate"),
        "{text}"
    );
    directory.write("exported.yml", &text);
    assert_eq!(
        result(&directory, &["check-rules", "exported.yml"], &[]).0,
        0
    );
    let (code, text) = result(&directory, &["export", "alertmanager"], &[]);
    assert!(code == 0 && text.contains("route:"), "{text}");
}

#[test]
fn a_channel_is_tested_by_its_name() {
    let directory = Directory::new("channel");
    let output = run(&directory, &["test-channel", "console"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("console: accepted"), "{text}");
    let output = run(&directory, &["test-channel", "absent"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("absent"), "{text}");
}

#[test]
fn a_running_service_answers() {
    let directory = Directory::new("service");
    let config = Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_tick(std::time::Duration::from_millis(100));
    let (_, observatory) = Observatory::builder(config)
        .build::<tracing_subscriber::Registry>()
        .unwrap();
    let url = format!("http://{}", observatory.listen_address().unwrap());
    let variables = [("OBSERVATORY_URL", url.as_str())];
    let ask = |arguments: &[&str]| result(&directory, arguments, &variables);
    let (code, text) = ask(&["status"]);
    assert!(
        code == 0 && text.contains("service       llm-router\n"),
        "{text}"
    );
    let (code, text) = ask(&["health"]);
    // Without a result yet, the service is degraded.
    let is_known = ["healthy\n", "degraded\n"]
        .iter()
        .any(|status| text.starts_with(status));
    assert!(code == 0 && is_known, "{text}");
    assert_eq!(ask(&["query", "1 + 1"]), (0, "2\n".to_owned()));
    let (code, text) = ask(&["query", "vector(2)"]);
    assert_eq!((code, text.as_str()), (0, "VALUE  SERIES\n2      {}\n"));
    let (code, text) = ask(&["query", "--range", "2m", "--step", "1m", "vector(3)"]);
    assert!(
        code == 0 && text.starts_with("{}\nTIME") && text.contains("Z  3\n"),
        "{text}"
    );
    let (code, _) = ask(&["query", "sum("]);
    assert_eq!(code, 3);
    assert_eq!(ask(&["alerts", "list"]), (0, "no alerts\n".to_owned()));
    observatory
        .alerts()
        .trigger(
            "disk_full",
            llm_observatory::alerting::Severity::Critical,
            "no space",
            &[("disk", "a")],
        )
        .unwrap();
    let (code, text) = ask(&["alerts", "list"]);
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "STATE   SEVERITY  RULE       LABELS\nfiring  critical  disk_full  {disk=\"a\"}\n"
        )
    );
    let (code, text) = ask(&[
        "alerts",
        "silence",
        "alertname=\"disk_full\"",
        "--for",
        "1h",
        "--by",
        "ann",
        "--comment",
        "the disk is replaced",
    ]);
    assert!(code == 0 && text.starts_with("silenced "), "{text}");
    let (code, text) = ask(&["--json", "status"]);
    assert!(code == 0 && text.contains("\"uptime_seconds\""), "{text}");
}

#[test]
fn a_service_that_cannot_be_reached_is_exit_code_three() {
    let directory = Directory::new("absent");
    let output = run(&directory, &["status", "--url", "http://127.0.0.1:1"], &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text.contains("cannot be reached") && text.contains("OBSERVATORY_URL"),
        "{text}"
    );
}

#[test]
fn every_help_fits_into_eighty_columns() {
    let directory = Directory::new("help");
    for arguments in [
        &["--help"][..],
        &["check-config", "--help"],
        &["query", "--help"],
        &["alerts", "--help"],
        &["alerts", "silence", "--help"],
    ] {
        let (code, text) = result(&directory, arguments, &[]);
        assert_eq!(code, 0);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    let (code, text) = result(&directory, &["completions", "bash"], &[]);
    assert!(code == 0 && text.contains("check-config"));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_a_command_without_a_message() {
    let directory = Directory::new("pipe");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_llm-observatory"))
        .arg("print-config")
        .current_dir(&directory.0)
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
