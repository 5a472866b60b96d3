//! Test support: a receiver that records requests, a real Alertmanager, and alerts by name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use llm_observatory::{
    ClientOptions, OutgoingClient,
    alerting::{
        Alert, AlertmanagerPeer, Channel, NotificationOptions, Notifications, TimeSource,
        WebhookOptions,
    },
    query::Labels,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A recorded request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

/// The response of the receiver: status, headers.
pub(crate) type Answer = Arc<dyn Fn(&Received, usize) -> Response + Send + Sync>;

/// An HTTP server on loopback that records every request.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        Self::answering(Arc::new(|_, _| StatusCode::OK.into_response())).await
    }

    /// Starts with a function that gets the request and the number of earlier requests to the same path.
    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let state = (Arc::clone(&received), answer);
        let router = Router::new()
            .fallback(record)
            .layer(DefaultBodyLimit::disable())
            .with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn at(&self, path: &str) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|request| request.path == path);
        received
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, met: impl Fn(&[Received]) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !met(&self.received()) {
            assert!(Instant::now() < end, "not seen within 30 s: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

type RecorderState = (Arc<Mutex<Vec<Received>>>, Answer);

async fn record(
    State((received, answer)): State<RecorderState>,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let request = Received {
        path: uri.path().to_owned(),
        at: Instant::now(),
        headers,
        body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
        raw,
    };
    let before = {
        let mut received = received.lock().unwrap();
        let same = received.iter().filter(|other| other.path == request.path);
        let before = same.count();
        received.push(request.clone());
        before
    };
    answer(&request, before)
}

pub(crate) fn client() -> OutgoingClient {
    let timeouts = (Duration::from_secs(1), Duration::from_secs(1));
    OutgoingClient::new(&ClientOptions::default().with_timeouts(timeouts.0, timeouts.1)).unwrap()
}

/// Returns a channel that posts to these URLs.
pub(crate) fn webhook(urls: &[String]) -> Channel {
    let options = WebhookOptions::new(urls.iter().map(String::as_str));
    Channel::from_notifiers(options.build("hook", &client()).unwrap())
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A running dispatcher in this process, on the wall clock.
pub(crate) struct Running {
    pub(crate) notifications: Notifications,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(options: NotificationOptions, channels: Vec<(&str, Channel)>) -> Self {
        Self::with_peers(options, channels, Vec::new())
    }

    pub(crate) fn with_peers(
        options: NotificationOptions,
        channels: Vec<(&str, Channel)>,
        peers: Vec<AlertmanagerPeer>,
    ) -> Self {
        let channels = channels.into_iter();
        let channels = channels.map(|(name, channel)| (name.to_owned(), channel));
        let time: TimeSource = Arc::new(now_ms);
        let (notifications, runner) =
            Notifications::open(options, channels.collect(), peers, time).unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(runner.run(async move {
            let _ = stopped.await;
            None
        }));
        Self {
            notifications,
            stop,
            done,
        }
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.done.await.unwrap();
    }
}

/// Returns an alert that fires for an hour, or a resolved alert.
pub(crate) fn alert(labels: &[(&str, &str)], starts_at: i64, is_firing: bool) -> Alert {
    let mut alert = Alert::new(Labels::from_pairs(labels.iter().copied()), starts_at);
    alert.ends_at = if is_firing {
        starts_at + 3_600_000
    } else {
        starts_at
    };
    let summary = format!("{} is wrong", labels[0].1);
    alert.annotations.insert("summary".to_owned(), summary);
    "http://observatory.example/rule".clone_into(&mut alert.generator_url);
    alert
}

/// Returns the path of a program. A missing program skips its tests, except with `CI=true`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !is_ci,
            "{name} is missing: apt-get install prometheus-alertmanager"
        );
        eprintln!("skipped: {name} is missing");
    }
    found
}

/// A directory that is removed at the end of the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("observatory-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed at the end of the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A real Alertmanager.
pub(crate) struct Alertmanager {
    pub(crate) url: String,
    pub(crate) process: Process,
    _directory: Directory,
}

impl Alertmanager {
    /// Starts an Alertmanager with this configuration; returns `None` if it is not installed.
    pub(crate) async fn start(config: &str, port: u16, more: &[String]) -> Option<Self> {
        let program = program("prometheus-alertmanager")?;
        let directory = Directory::new("alertmanager");
        let file = directory.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", directory.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.external-url=http://observatory.example")
            .arg("--log.level=error")
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alertmanager = Self {
            url: format!("http://127.0.0.1:{port}"),
            process: Process(process),
            _directory: directory,
        };
        let ready = format!("{}/-/ready", alertmanager.url);
        let end = Instant::now() + Duration::from_secs(20);
        while !reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(Instant::now() < end, "Alertmanager does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(alertmanager)
    }
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Returns the channels by name.
pub(crate) type Named = BTreeMap<String, Vec<Value>>;
