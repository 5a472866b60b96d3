//! Runs the example that runs rule tests, which exits like promtool.

use std::{path::Path, process::Command};

use super::{process::is_here, router::example_named};

#[test]
fn the_example_that_tests_rules_exits_as_promtool_does() {
    if !is_here("promtool") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerting/rule_tests");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    // One test counts samples at the left end of a range, which Prometheus 2 (Debian's) includes and Prometheus 3 does
    // not.
    files.retain(|path| path.is_file() && !path.ends_with("pass_recording.yml"));
    assert!(files.len() > 5);
    let ours = |files: &[&Path]| {
        let mut command = Command::new(example_named("test_rules"));
        command.args(files).output().unwrap().status.code()
    };
    let theirs = |files: &[&Path]| {
        let mut command = Command::new("promtool");
        let command = command.args(["test", "rules"]).args(files);
        command.output().unwrap().status.code()
    };
    for file in &files {
        assert_eq!(ours(&[file]), theirs(&[file]), "{}", file.display());
    }
    let all: Vec<&Path> = files.iter().map(|path| &**path).collect();
    assert_eq!(ours(&all), theirs(&all));
    let missing = Path::new("/does/not/exist");
    assert_eq!(ours(&[missing]), theirs(&[missing]));
    // Both report a missing file argument as a usage error.
    assert_ne!(ours(&[]), Some(0));
    assert_ne!(theirs(&[]), Some(0));
}
