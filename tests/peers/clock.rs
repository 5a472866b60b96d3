//! Steps the wall clock of the running example with libfaketime.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{
    alerts::receiver,
    process::{Folder, get, query, skip_unless, wait_for},
    router::start_logging,
};

/// The rate of inferences lies above zero in every window of ten seconds, or else the second alert fires.
const RULES: &str = r"
groups:
- name: clock
  interval: 1s
  rules:
  - alert: InferencesRun
    expr: sum(rate(llm_router_model_inference_total[10s])) > 0
  - alert: Gap
    expr: absent(sum(rate(llm_router_model_inference_total[10s])) > 0)
";

/// The offsets of the example's wall clock in seconds, one after the other: ± 5 s, ± 1 h, + 1 h and back, + 1 year.
const OFFSETS: [i64; 8] = [5, 0, -5, 0, 3_600, 0, -3_600, 365 * 24 * 3_600];

/// Returns the path of Debian's libfaketime.
fn library() -> Option<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut paths = architectures.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library = paths.find(|path| path.exists());
    if skip_unless(library.is_some(), "libfaketime") {
        library
    } else {
        None
    }
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

#[test]
fn the_example_keeps_samples_and_alerts_across_steps_of_its_wall_clock() {
    let Some(library) = library() else {
        return;
    };
    let folder = Folder::new("clock");
    let clock = folder.file("clock", "+0");
    let rules = folder.file("rules.yml", RULES);
    let log = folder.0.join("log");
    let (hook, bodies) = receiver();
    let router = start_logging(
        &["--speed", "20", "--exit-after", "10m"],
        &[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("MONITORING_WEBHOOK_URL", &hook),
            ("OBSERVATORY_RULES", rules.to_str().unwrap()),
            ("OBSERVATORY_AGGREGATION_WINDOW", "1s"),
        ],
        Stdio::from(fs::File::create(&log).unwrap()),
    );
    let monitor = format!("http://{}", router.monitor);
    let about = |rule: &str| {
        let bodies = bodies.lock().unwrap();
        let is_meant = |body: &&Value| body["groupLabels"]["alertname"] == rule;
        bodies.iter().filter(is_meant).count()
    };
    wait_for("the message", Duration::from_mins(1), || {
        (about("InferencesRun") > 0).then_some(())
    });
    // Until the window of the rate is full.
    std::thread::sleep(Duration::from_secs(12));
    let gaps_before = about("Gap");
    for (steps, offset) in (1..).zip(OFFSETS) {
        // A rename, since the example may read the file at any time.
        let next = folder.file("next", &format!("{offset:+}"));
        fs::rename(next, &clock).unwrap();
        wait_for("the step", Duration::from_secs(20), || {
            let status: Value = serde_json::from_str(&get(&format!("{monitor}/status"))?).unwrap();
            (status["clock"]["steps"] == steps).then_some(())
        });
        for _ in 0..6 {
            let time = query(&monitor, "vector(time())").unwrap();
            assert!(
                (time - now() - offset as f64).abs() < 2.0,
                "{offset}: {time}"
            );
            let samples = query(&monitor, "count_over_time(observatory_build_info[10s])").unwrap();
            assert!(
                (10.0..=21.0).contains(&samples),
                "{offset}: {samples} samples"
            );
            let rate = query(&monitor, "sum(rate(llm_router_model_inference_total[10s]))");
            assert!(rate.is_some_and(|rate| rate > 0.0), "{offset}: {rate:?}");
            let resets = query(
                &monitor,
                "sum(resets(llm_router_model_inference_total[10s]))",
            );
            assert_eq!(resets, Some(0.0), "{offset}");
            let firing = r#"count(ALERTS{alertname="InferencesRun",alertstate="firing"})"#;
            assert_eq!(query(&monitor, firing), Some(1.0), "{offset}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    assert_eq!(about("InferencesRun"), 1, "the alert stays firing");
    assert_eq!(about("Gap"), gaps_before, "the rate has no gap");
    let refused = query(&monitor, "observatory_store_refused_samples_total");
    assert_eq!(refused, Some(0.0));
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(
        log.matches("the wall clock stepped by").count(),
        OFFSETS.len(),
        "{log}"
    );
}
