//! Tests a data directory that cannot be written, is deleted, or is replaced while a process uses it.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use llm_observatory::{Config, Format, Observatory, alerting::SilenceRequest};

use crate::notify_support::{Directory, now_ms};

/// The variable with the task of the child: `directory role`.
const TASK: &str = "OBSERVATORY_DATA_DIR_TASK";
const IN_MEMORY: &str = "alert state is in memory only";
const ON_DISK: &str = "the complete alert state is on the disk again";

/// The process with the directory; not a test by itself.
#[tokio::test]
#[ignore = "the tests of the data directory start it"]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let (directory, role) = task.split_once(' ').unwrap();
    let directory = Path::new(directory);
    let config = Config::default().without_server().with_data_dir(directory);
    let observatory = Observatory::install(config).unwrap();
    let alerts = observatory.alerts();
    let silence = |name: &str| {
        let request = SilenceRequest::until(now_ms() + 3_600_000, "a=b").because("ann", name);
        alerts.silence(request).unwrap();
    };
    let file = directory.join("alerting.redb");
    match role {
        "unwritable" => {
            tokio::time::sleep(Duration::from_secs(7)).await;
            silence("kept in memory");
            println!("{}", alerts.flush().await.unwrap_err());
            println!("{:?}", observatory.status().alerts.store_problem);
            println!("{}", observatory.export_metrics(Format::Prometheus));
            return;
        }
        "silence" => {
            silence("other");
            alerts.flush().await.unwrap();
            return;
        }
        "list" => {
            for silence in alerts.silences() {
                println!("silence {}", silence.comment);
            }
            return;
        }
        _ => {}
    }
    silence("before");
    alerts.flush().await.unwrap();
    let away = directory.with_extension("away");
    fs::rename(directory, &away).unwrap();
    match role {
        "deleted" => fs::remove_dir_all(&away).unwrap(),
        "moved" => {}
        "replaced" => fs::rename(directory.with_extension("other"), directory).unwrap(),
        other => panic!("no role {other}"),
    }
    if role == "replaced" {
        // A change reaches the directory of the path, or is not accepted.
        silence("after");
        alerts.flush().await.unwrap();
    } else {
        let start = Instant::now();
        while !file.exists() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "not written again"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("written again after {:?}", start.elapsed());
        silence("after");
        alerts.flush().await.unwrap();
    }
    // The same file stays in use.
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Without a shutdown: the test reads what was on the disk before.
    std::process::exit(0);
}

fn run(directory: &Path, role: &str) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "data_dir::child", "--ignored", "--nocapture"])
        .env(TASK, format!("{} {role}", directory.display()))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert!(status.success(), "{role}: {stdout}\n{stderr}");
    (stdout, stderr)
}

fn silences(directory: &Path) -> Vec<String> {
    let (stdout, _) = run(directory, "list");
    let names = stdout
        .lines()
        .filter_map(|line| line.split_once("silence "));
    let mut names: Vec<String> = names.map(|(_, name)| name.to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_that_cannot_be_written_is_one_warning_a_gauge_and_an_entry_in_the_status() {
    let directory = Directory::new("data");
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.as_path(), Path::new("/proc/nope")] {
        let (stdout, log) = run(path, "unwritable");
        assert_eq!(log.matches(IN_MEMORY).count(), 1, "{log}");
        let line = log.lines().find(|line| line.contains(IN_MEMORY)).unwrap();
        let path = path.display().to_string();
        for part in [
            &*path,
            "WARN",
            "os error",
            "silences",
            "OBSERVATORY_DATA_DIR",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(log.matches(ON_DISK).count(), 0, "{log}");
        assert!(
            stdout.contains("\nobservatory_alert_store_degraded 1\n"),
            "{stdout}"
        );
        assert!(
            stdout.contains(&format!("Some(\"cannot create the directory {path}")),
            "{stdout}"
        );
    }
}

#[test]
fn a_directory_that_is_deleted_or_moved_is_created_again_with_the_complete_state() {
    for role in ["deleted", "moved"] {
        let directory = Directory::new("data");
        let data = directory.path().join("data");
        let (_, log) = run(&data, role);
        assert_eq!(log.matches(IN_MEMORY).count(), 1, "{log}");
        assert!(
            log.contains("was deleted or replaced while in use"),
            "{log}"
        );
        assert_eq!(log.matches(ON_DISK).count(), 1, "{log}");
        assert_eq!(silences(&data), ["after", "before"], "{role}");
    }
}

#[test]
fn a_directory_that_is_replaced_keeps_the_contents_of_both() {
    let directory = Directory::new("data");
    let data = directory.path().join("data");
    run(&data.with_extension("other"), "silence");
    let (_, log) = run(&data, "replaced");
    assert_eq!(log.matches(ON_DISK).count(), 1, "{log}");
    assert_eq!(silences(&data), ["after", "before", "other"]);
    let names = fs::read_dir(&data).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains(".unread-")).count(), 1);
}
