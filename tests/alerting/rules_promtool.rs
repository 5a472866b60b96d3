//! Compares with promtool: the same files have the same results.

use std::path::{Path, PathBuf};
use std::process::Command;

use llm_observatory::alerting::rule_test::RuleTests;
use llm_observatory::alerting::{load_rule_file, parse_rule_file};
use llm_observatory::query::engine::EngineOptions;

/// Returns the result of promtool; `None` if it is not installed, which fails in CI.
pub(crate) fn promtool(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("promtool").args(arguments).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            Some((output.status.success(), text))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool: {error}");
            eprintln!("promtool is not installed: skipped");
            None
        }
    }
}

/// Returns a directory for this test alone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("rules-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/alerting")
        .join(directory);
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn rule_tests_have_promtools_verdicts() {
    // Debian's promtool is a Prometheus 2, whose ranges include their left end.
    let tests =
        RuleTests::default().with_engine(EngineOptions::default().with_left_closed_ranges());
    for path in files("rule_tests") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let report = tests.run([&path]);
        assert_eq!(
            report.is_passed(),
            name.starts_with("pass"),
            "{name}\n{report}"
        );
        let Some((passed, text)) = promtool(&["test", "rules", path.to_str().unwrap()]) else {
            continue;
        };
        assert_eq!(
            report.is_passed(),
            passed,
            "{name}\nours: {report}\npromtool: {text}"
        );
    }
}

#[test]
fn one_failing_file_fails_the_run() {
    let all = files("rule_tests");
    let (pass, fail) = (&all[all.len() - 1], &all[0]);
    let tests = RuleTests::default();
    assert_eq!(tests.run([pass, pass]).exit_code(), 0);
    let report = tests.run([pass, fail]);
    assert_eq!(report.exit_code(), 1);
    assert!(
        report.to_string().contains("SUCCESS") && report.to_string().contains("FAILED"),
        "{report}"
    );
    assert_eq!(tests.run(["/does/not/exist"]).exit_code(), 1);
    assert_eq!(tests.run::<&Path>([]).exit_code(), 0);
}

/// Files that both accept, or both refuse.
#[test]
fn rule_files_are_accepted_and_refused_as_by_promtool() {
    let directory = scratch("check");
    for (at, (text, is_good)) in RULE_FILES.iter().enumerate() {
        let path = directory.join(format!("{at}.yml"));
        std::fs::write(&path, text).unwrap();
        let ours = load_rule_file(&path);
        assert_eq!(ours.is_ok(), *is_good, "{text}\n{ours:?}");
        let Some((taken, output)) = promtool(&["check", "rules", path.to_str().unwrap()]) else {
            continue;
        };
        assert_eq!(
            ours.is_ok(),
            taken,
            "{text}\nours: {ours:?}\npromtool: {output}"
        );
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn errors_name_file_line_group_rule_and_the_expected_value() {
    let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up[5m\n    for: 5\n  - record: a-b\n    expr: up\n    for: 1m\n";
    let error = parse_rule_file("r.yml", text).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines,
        [
            r#"r.yml:4: group "g": rule "A": `for` is "5", but must be a duration such as `30s`, `5m` or `1h30m`"#,
            r#"r.yml:4: group "g": rule "A": `expr` is "up[5m": 1:6: parse error: unclosed left bracket"#,
            r#"r.yml:7: group "g": rule "a-b": a recording rule has no `for`: remove it"#,
            r#"r.yml:7: group "g": rule "a-b": `record` is "a-b", but must be letters, digits, `_` and `:`, not beginning with a digit"#,
        ]
    );
}

fn rule(rest: &str) -> String {
    format!("groups:\n- name: g\n  rules:\n  - {rest}\n")
}

#[test]
fn rules_that_can_never_work_are_refused_although_prometheus_accepts_them() {
    for rest in ["{alert: A, expr: 'up[5m]'}", "{alert: A, expr: '\"a\"'}"] {
        assert!(parse_rule_file("r.yml", &rule(rest)).is_err(), "{rest}");
    }
    let twice = rule("{alert: A, expr: up}\n  - {alert: A, expr: up == 0}");
    let error = parse_rule_file("r.yml", &twice).unwrap_err().to_string();
    assert!(error.contains("repeated"), "{error}");
}

const RULE_FILES: &[(&str, bool)] = &[
    ("", true),
    ("# nothing\n", true),
    ("groups: []\n", true),
    ("groups:\n", true),
    ("groups:\n- name: g\n  rules: []\n", true),
    ("groups:\n- name: g\n", true),
    (
        "groups:\n- name: g\n  interval: 5m\n  limit: 10\n  rules:\n  - alert: A\n    expr: up == 0\n    for: 1h30m\n    keep_firing_for: 5m\n    labels: {severity: page, tier: 1, on: true}\n    annotations: {summary: '{{ $value }}'}\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum(up)\n    labels: {x: y}\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 1\n    for: 0s\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: vector(1)\n    for: 0\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: '{{ range query \"up\" }}{{ .Value }}{{ end }}'}\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: 'Any name at all'\n    expr: up\n",
        true,
    ),
    (
        "groups:\n- name: a\n  rules: []\n- name: b\n  rules: []\n",
        true,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - &r\n    alert: A\n    expr: up\n  - <<: *r\n    alert: B\n",
        true,
    ),
    ("nope: []\n", false),
    ("groups: 5\n", false),
    ("groups:\n- name: g\n  nope: 1\n", false),
    ("groups:\n- name: g\n- name: g\n", false),
    ("groups:\n- rules: []\n", false),
    ("groups:\n- name: g\n  interval: soon\n", false),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    record: b\n    expr: up\n",
        false,
    ),
    ("groups:\n- name: g\n  rules:\n  - expr: up\n", false),
    ("groups:\n- name: g\n  rules:\n  - alert: A\n", false),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    for: 5\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    for: -5m\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    severity: page\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {'a-b': c}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {__name__: c}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {'a b': c}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ $nope }}'}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ nope }}'}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: '{{ if }}'}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    alert: B\n    expr: up\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: 'a b'\n    expr: up\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    for: 5m\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    keep_firing_for: 5m\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    annotations: {a: b}\n",
        false,
    ),
    (
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    labels: {a: '{{ nope }}'}\n",
        true,
    ),
    ("groups: [\n", false),
];
