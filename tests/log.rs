//! Tests the log that `install` writes without traces: the configured format, and redaction. The log goes to standard
//! error, so this binary starts itself again as the process that writes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "privacy/canaries.rs"]
mod canaries;

use std::{env, process::Command};

use canaries::{CANARIES, Canary};

use llm_observatory::{Config, LogFormat, Observatory};
use tracing::{info, info_span};

const ROLE: &str = "LOG_FORMAT_OF_THE_CHILD";

fn main() {
    match env::var(ROLE) {
        Ok(format) => child(if format == "json" {
            LogFormat::Json
        } else {
            LogFormat::Pretty
        }),
        Err(_) => parent(),
    }
}

fn child(format: LogFormat) {
    let config = Config::default().without_server().without_traces();
    let observatory = Observatory::install(config.with_log_format(format)).unwrap();
    info_span!("step", prompt = "a s3cret", number = 7).in_scope(|| {
        info!(key = "sk-abcdef0123456789", "mail ann@example.org");
    });
    for (_, template) in CANARIES {
        let Canary { text, .. } = Canary::new(template);
        let step = info_span!("canary", value = text, printed = ?text);
        step.in_scope(|| info!(cause = text, "failed: {text}"));
    }
    observatory.shutdown_blocking();
}

fn parent() {
    let json = written("json");
    let line = json.lines().find(|line| line.contains("mail")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["message"], "mail [masked]");
    assert_eq!(line["fields"]["key"], "[masked]");
    let span = serde_json::json!({"name": "step", "prompt": "[withheld]", "number": 7});
    assert_eq!(line["span"], span);
    assert!(line.get("trace_id").is_none(), "{line}");
    let pretty = written("pretty");
    let expected = "step{prompt=[withheld] number=7}";
    assert!(pretty.contains(expected), "{pretty}");
    assert!(pretty.contains("mail [masked] key=[masked]"), "{pretty}");
}

fn written(format: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .env(ROLE, format)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        !log.contains("s3cret") && !log.contains("example.org"),
        "{log}"
    );
    for (name, template) in CANARIES {
        let canary = Canary::new(template);
        assert_eq!(canary.leak(&log), None, "{name}");
    }
    let canaries = log.matches("canary").count();
    assert!(canaries >= CANARIES.len(), "{canaries}");
    log
}
