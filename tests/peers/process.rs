//! Test support: processes that are killed at the end of the test, and HTTP requests.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A process that is killed when this is dropped.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns `true` if `program` can be started; a test that needs it returns if not.
pub(crate) fn is_here(program: &str) -> bool {
    let is_here = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    skip_unless(is_here, program)
}

/// Prints that a test is skipped, or fails it in CI.
pub(crate) fn skip_unless(is_here: bool, what: &str) -> bool {
    assert!(
        is_here || std::env::var("CI").as_deref() != Ok("true"),
        "{what} is missing; .ci/run installs it"
    );
    if !is_here {
        eprintln!("skipped: {what} is missing");
    }
    is_here
}

/// Returns a Python that has these packages: `PEERS_PYTHON`, or else `python3`.
pub(crate) fn python_with(packages: &str) -> Option<String> {
    let python = std::env::var("PEERS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = format!("import {packages}");
    let has_them = Command::new(&python)
        .args(["-c", &import])
        .output()
        .is_ok_and(|output| output.status.success());
    let what = format!("the Python package {packages} (PEERS_PYTHON names a Python that has it)");
    skip_unless(has_them, &what).then_some(python)
}

/// Returns a program that a Python package installs.
pub(crate) fn python_script(name: &str) -> Option<PathBuf> {
    let python = python_with(name)?;
    let beside = Path::new(&python).parent()?.join(name);
    let program = if beside.exists() { beside } else { name.into() };
    is_here(program.to_str()?).then_some(program)
}

/// Returns the sum over all series of a metric whose labels contain `labels`.
pub(crate) fn total(text: &str, metric: &str, labels: &str) -> f64 {
    let of_metric = text.lines().filter(|line| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    of_metric
        .filter(|line| line.contains(labels))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A folder that is removed when this is dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("llm-observatory-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the path of the Azure trace, one folder above the project.
pub(crate) fn conv_trace() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/traces/AzureLLMInferenceTrace_conv.csv");
    skip_unless(path.exists(), "the Azure trace").then_some(path)
}

/// Waits until `ask` returns a value.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not come in {patience:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the response to a GET; `None` while no server responds.
pub(crate) fn get(url: &str) -> Option<String> {
    block_on(async {
        reqwest::get(url)
            .await
            .ok()?
            .error_for_status()
            .ok()?
            .text()
            .await
            .ok()
    })
}

/// Returns the response to a POST of `body`.
pub(crate) fn post(url: &str, body: String) -> Option<String> {
    block_on(async {
        reqwest::Client::new()
            .post(url)
            .body(body)
            .send()
            .await
            .ok()?
            .error_for_status()
            .ok()?
            .text()
            .await
            .ok()
    })
}

/// Returns the number in the result of an instant query; `None` for an empty result.
pub(crate) fn query(server: &str, expression: &str) -> Option<f64> {
    let url = format!("{server}/api/v1/query");
    let body = block_on(async {
        let form = [("query", expression)];
        let url = reqwest::Url::parse_with_params(&url, form).unwrap();
        reqwest::get(url).await.ok()?.text().await.ok()
    })?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    answer["data"]["result"][0]["value"][1]
        .as_str()?
        .parse()
        .ok()
}

pub(crate) fn block_on<T>(question: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(question)
}
