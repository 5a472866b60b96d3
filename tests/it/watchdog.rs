//! Tests the watchdog on real runtimes, through the public API and the server.
#![cfg(all(feature = "server", feature = "health"))]

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use llm_observatory::{
    Config, Observatory,
    health::{Condition, Finding},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tracing::{Dispatch, Instrument as _, dispatcher, info_span};
use tracing_subscriber::prelude::*;

use crate::{server::get, support::value};

/// An observatory with a watchdog of one runtime, whose threads have the subscriber.
struct Watched {
    observatory: Observatory,
    dispatch: Dispatch,
    runtime: Runtime,
    /// Every finding since the start.
    findings: Arc<Mutex<Vec<Finding>>>,
}

fn watched(builder: &mut Builder) -> Watched {
    let mut config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
    config.health.watchdog.interval = Duration::from_millis(20);
    let (layer, observatory) = Observatory::builder(config.with_auto_start(false))
        .build::<tracing_subscriber::Registry>()
        .unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let of_threads = dispatch.clone();
    let runtime = builder
        .enable_all()
        .on_thread_start(move || {
            // Kept for the life of the thread.
            std::mem::forget(dispatcher::set_default(&of_threads));
        })
        .build()
        .unwrap();
    {
        let _runtime = runtime.enter();
        observatory.start().unwrap();
    }
    let findings = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&findings);
    observatory
        .watchdog()
        .on_finding(move |finding| all.lock().unwrap().push(finding.clone()));
    Watched {
        observatory,
        dispatch,
        runtime,
        findings,
    }
}

fn workers(count: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count);
    builder
}

impl Watched {
    fn address(&self) -> SocketAddr {
        self.observatory.listen_address().unwrap()
    }

    fn blocked(&self) -> Vec<Finding> {
        let findings = self.findings.lock().unwrap();
        let blocked = findings
            .iter()
            .filter(|finding| finding.condition == Condition::Blocked);
        blocked.cloned().collect()
    }

    /// Waits until a finding matches, and returns it.
    fn wait_for(&self, what: &str, matches: impl Fn(&Finding) -> bool) -> Finding {
        let start = Instant::now();
        loop {
            let found = self
                .findings
                .lock()
                .unwrap()
                .iter()
                .find(|f| matches(f))
                .cloned();
            match found {
                Some(found) => return found,
                None if start.elapsed() > Duration::from_secs(10) => {
                    panic!("no finding {what}: {:?}", self.findings.lock().unwrap())
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Answers of `path`, and asserts that the answer took less than 50 ms.
    fn get_quickly(&self, path: &str) -> String {
        // The fastest of some answers, since the machine also runs the other tests.
        let mut fastest = Duration::MAX;
        let mut body = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            body = get(self.address(), path, "").1;
            fastest = fastest.min(start.elapsed());
        }
        assert!(
            fastest < Duration::from_millis(50),
            "{path} took {fastest:?}"
        );
        String::from_utf8(body).unwrap()
    }
}

fn spin(duration: Duration) {
    let start = Instant::now();
    let mut number = 1_u64;
    while start.elapsed() < duration {
        number = black_box(number.wrapping_mul(3));
    }
}

#[test]
fn a_handler_that_blocks_every_worker_is_named_while_the_endpoints_answer() {
    let watched = watched(&mut workers(2));
    let is_released = Arc::new(AtomicBool::new(false));
    for number in 0..2 {
        let is_released = Arc::clone(&is_released);
        let request = dispatcher::with_default(&watched.dispatch, || info_span!("http_request"));
        let inference = dispatcher::with_default(
            &watched.dispatch,
            || info_span!(parent: &request, "inference", model_id = format!("model-{number}"), engine = "vllm"),
        );
        let handler = async move {
            while !is_released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        watched
            .runtime
            .spawn(handler.instrument(inference).instrument(request));
    }
    let workers = [0, 1].map(|worker| {
        watched.wait_for("of each worker", |finding| {
            finding.condition == Condition::Blocked && finding.worker == Some(worker)
        })
    });
    let mut models = Vec::new();
    for finding in &workers {
        assert!(finding.duration >= Duration::from_millis(500), "{finding}");
        let names: Vec<_> = finding.spans.iter().map(|span| span.name).collect();
        assert_eq!(names, ["inference", "http_request"], "{finding}");
        let text = finding.to_string();
        assert!(text.contains("engine=vllm"), "{text}");
        let model = finding.spans[0]
            .fields
            .iter()
            .find(|(name, _)| *name == "model_id");
        models.push(model.unwrap().1.clone());
    }
    models.sort();
    assert_eq!(models, ["model-0", "model-1"]);
    assert!(watched.observatory.watchdog().standstill().unwrap() >= Duration::from_millis(500));
    let metrics = watched.get_quickly("/metrics");
    let stuck = "observatory_watchdog_stuck_threads{condition=\"blocked\"}";
    assert_eq!(value(&metrics, stuck), 2.0, "{metrics}");
    let health = watched.get_quickly("/health");
    let names_finding = [
        "worker ",
        " is blocked for ",
        "inference{",
        "model_id=model-",
    ];
    assert!(
        names_finding.iter().all(|part| health.contains(part)),
        "{health}"
    );
    let tasks: Value =
        serde_json::from_str(&watched.get_quickly("/api/observatory/tasks")).unwrap();
    let requests = tasks["tasks"].as_array().unwrap();
    assert_eq!(
        (requests.len(), &tasks["shown"]),
        (2, &Value::from(4)),
        "{tasks}"
    );
    let inference = &requests[0]["children"][0];
    assert_eq!(
        (&inference["name"], &inference["enters"]),
        (&"inference".into(), &1.into())
    );
    let text = inference["text"].as_str().unwrap();
    assert!(text.starts_with("entered on worker "), "{text}");
    is_released.store(true, Ordering::Relaxed);
    watched.wait_for("of the end", |finding| finding.is_over);
    let start = Instant::now();
    while !watched.observatory.watchdog().findings().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(watched.observatory.watchdog().standstill(), None);
    let metrics = watched.get_quickly("/metrics");
    assert!(
        metrics.contains("observatory_runtime_blocked_seconds "),
        "{metrics}"
    );
    assert_eq!(value(&metrics, "observatory_runtime_blocked_seconds"), 0.0);
}

#[test]
fn a_main_future_that_blocks_is_named_by_its_thread() {
    let watched = watched(&mut workers(1));
    let (dispatch, handle) = (watched.dispatch.clone(), watched.runtime.handle().clone());
    let is_released = Arc::new(AtomicBool::new(false));
    let released = Arc::clone(&is_released);
    let main = std::thread::Builder::new()
        .name("router-main".to_owned())
        .spawn(move || {
            dispatcher::with_default(&dispatch, || {
                handle.block_on(async {
                    let span = info_span!("inference", model_id = "gpt-4o");
                    let work = async {
                        while !released.load(Ordering::Relaxed) {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    };
                    work.instrument(span).await;
                });
            });
        });
    let finding = watched.wait_for("of the main future", |finding| {
        finding.condition == Condition::Blocked
    });
    assert_eq!(
        (finding.worker, finding.thread.as_deref()),
        (None, Some("router-main"))
    );
    assert!(
        finding
            .to_string()
            .contains("in inference{model_id=gpt-4o}"),
        "{finding}"
    );
    let metrics = watched.get_quickly("/metrics");
    let stuck = "observatory_watchdog_stuck_threads{condition=\"blocked\"}";
    assert_eq!(value(&metrics, stuck), 1.0, "{metrics}");
    let health = watched.get_quickly("/health");
    assert!(
        health.contains("thread router-main is blocked for "),
        "{health}"
    );
    let tasks = watched.get_quickly("/api/observatory/tasks");
    assert!(tasks.contains("entered on thread router-main"), "{tasks}");
    is_released.store(true, Ordering::Relaxed);
    watched.wait_for("of the end", |finding| finding.is_over);
    main.unwrap().join().unwrap();
}

#[test]
fn a_current_thread_runtime_is_watched_and_a_registered_runtime_has_its_name() {
    let watched = watched(&mut workers(1));
    let other = Builder::new_current_thread().build().unwrap();
    let watchdog = watched.observatory.watchdog();
    watchdog.register_runtime("batch", other.handle());
    let is_found = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&is_found);
    watched.observatory.watchdog().on_finding(move |finding| {
        found.fetch_or(finding.condition == Condition::Blocked, Ordering::Relaxed);
    });
    dispatcher::with_default(&watched.dispatch, || {
        let work = async {
            let start = Instant::now();
            while !is_found.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(10) {
                spin(Duration::from_millis(5));
            }
        };
        other.block_on(work.instrument(info_span!("inference", model_id = "m")));
    });
    let finding = watched.wait_for("of the runtime", |finding| {
        finding.condition == Condition::Blocked
    });
    assert_eq!(
        (finding.runtime.as_str(), finding.worker),
        ("batch", Some(0))
    );
    assert!(
        finding
            .to_string()
            .starts_with("worker 0 of the runtime batch is blocked"),
        "{finding}"
    );
    watched.wait_for("of the end", |finding| finding.is_over);
}

/// Runs `work` on two workers, each with and without spans, and asserts that nothing is called blocked.
fn never_blocked<F>(work: impl Fn() -> F + Send + Sync + Copy + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let watched = watched(&mut workers(2));
    for has_spans in [false, true] {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let span = dispatcher::with_default(&watched.dispatch, || {
                        if has_spans {
                            info_span!("inference", model_id = "m")
                        } else {
                            tracing::Span::none()
                        }
                    });
                    watched.runtime.spawn(work().instrument(span))
                })
                .collect();
            for task in tasks {
                watched.runtime.block_on(task).unwrap();
            }
        }
    }
    assert_eq!(watched.blocked(), [], "called blocked");
}

async fn polls(duration: Duration) {
    for _ in 0..(300 / duration.as_millis().max(1)).min(64) {
        spin(duration);
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_idle_runtime_is_never_blocked() {
    never_blocked(|| async { tokio::time::sleep(Duration::from_millis(700)).await });
}

#[test]
fn block_in_place_is_never_blocked() {
    never_blocked(|| async {
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(700)));
    });
}

#[test]
fn a_runtime_saturated_by_polls_is_never_blocked() {
    never_blocked(|| polls(Duration::from_micros(500)));
    never_blocked(|| polls(Duration::from_millis(5)));
    never_blocked(|| polls(Duration::from_millis(50)));
}

#[test]
fn the_list_of_tasks_says_its_cap() {
    let watched = watched(&mut workers(1));
    let span = |number: usize| info_span!("queued", number);
    let spans: Vec<_> = dispatcher::with_default(&watched.dispatch, || (0..30).map(span).collect());
    spans[0].in_scope(|| ());
    let (_, body) = get(watched.address(), "/api/observatory/tasks?limit=10", "");
    let tasks: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        [&tasks["limit"], &tasks["shown"], &tasks["leftOut"]],
        [&Value::from(10), &Value::from(10), &Value::from(20)]
    );
    let texts: Vec<_> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["text"])
        .collect();
    assert!(
        texts.iter().any(|text| **text == "never entered"),
        "{texts:?}"
    );
    let (_, body) = get(watched.address(), "/api/observatory/tasks?limit=30", "");
    assert!(String::from_utf8(body).unwrap().contains("idle for "));
    let (head, body) = get(watched.address(), "/api/observatory/tasks?limit=5001", "");
    assert!(head.starts_with("http/1.0 400"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("at most 5000"));
}
