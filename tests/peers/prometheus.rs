//! Starts a real Prometheus that scrapes us.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use super::process::{Folder, Process, free_port, get, wait_for};

pub(crate) struct Prometheus {
    pub(crate) url: String,
    _process: Process,
    _folder: Folder,
}

impl Prometheus {
    /// Starts a server that scrapes `target` four times a second.
    pub(crate) fn scraping(target: &str, name: &str) -> Self {
        Self::configured(target, name, "")
    }

    /// Starts a server with additional configuration.
    pub(crate) fn configured(target: &str, name: &str, more: &str) -> Self {
        let folder = Folder::new(name);
        let config = folder.file(
            "prometheus.yml",
            &format!(
                "{more}scrape_configs:\n- job_name: observatory\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\n  static_configs:\n  - targets: ['{target}']\n"
            ),
        );
        let port = free_port();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.0.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args([
                "--enable-feature=exemplar-storage,native-histograms",
                "--log.level=error",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: Process(process),
            _folder: folder,
        };
        wait_for("Prometheus", Duration::from_secs(30), || {
            get(&format!("{}/-/ready", server.url))
        });
        server
    }
}

/// Returns the output of `promtool query instant`.
pub(crate) fn promtool_query(server: &str, expression: &str) -> String {
    promtool(&["query", "instant", server, expression])
}

/// Returns the output of `promtool`, which must succeed.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}{complained}");
    said
}

/// Returns the complaints of `promtool check metrics`.
pub(crate) fn complaints(exposition: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(exposition.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!(
        "{}{}",
        if output.status.success() {
            ""
        } else {
            "failed: "
        },
        String::from_utf8_lossy(&said)
    )
}
