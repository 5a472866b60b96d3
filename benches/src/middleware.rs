//! Measures the time that a layer adds to one HTTP request through an axum router, beside its peers.
//!
//! Each variant is a process, measured in blocks A B B A beside axum alone. There is no socket: a request goes into the
//! router and its body is read to the end on one thread, whose CPU time is measured.

use axum::{Router, body::Body, http::Request, routing::get};
use http_body_util::BodyExt as _;
use llm_observatory::{
    MetricsSink, ObservatoryLayer, Registry, RegistryOptions, SinkOptions,
    middleware::http::HttpMonitorLayer,
};
use rustix::time::{ClockId, clock_gettime};
use tower::ServiceExt as _;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing_subscriber::{
    layer::{Identity, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{Failure, hot_path::worker::Worker, statistics::Median};

/// The layer around the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Variant {
    Axum,
    Ours,
    AxumPrometheus,
    TowerHttpTrace,
}

impl Variant {
    pub(crate) const ALL: [Self; 4] = [
        Self::Axum,
        Self::Ours,
        Self::AxumPrometheus,
        Self::TowerHttpTrace,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Ours => "ours",
            Self::AxumPrometheus => "axum-prometheus",
            Self::TowerHttpTrace => "tower-http-trace",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Axum => "the router alone",
            Self::Ours => {
                "HttpMonitorLayer, a span, ObservatoryLayer and MetricsSink: count, two durations, two sizes, in flight"
            }
            Self::AxumPrometheus => "count, duration, in flight; metrics-exporter-prometheus",
            Self::TowerHttpTrace => "a span at INFO and two events, no metrics",
        }
    }

    /// Returns `true` if the layer records metrics.
    pub(crate) const fn is_rival(self) -> bool {
        matches!(self, Self::AxumPrometheus)
    }

    fn router(self) -> Router {
        let router = Router::new().route("/items/{id}", get(|| async { "an item" }));
        match self {
            Self::Axum => router,
            Self::Ours => {
                let registry = Registry::new(RegistryOptions::default()).expect("no buckets");
                let sink = MetricsSink::new(registry, SinkOptions::default());
                tracing_subscriber::registry()
                    .with(ObservatoryLayer::new(sink))
                    .init();
                router.layer(HttpMonitorLayer::new())
            }
            Self::AxumPrometheus => {
                let (layer, _handle) = axum_prometheus::PrometheusMetricLayer::pair();
                router.layer(layer)
            }
            Self::TowerHttpTrace => {
                // Without any layer, the registry never frees closed spans.
                tracing_subscriber::registry().with(Identity::new()).init();
                let layer = TraceLayer::new_for_http()
                    .make_span_with(DefaultMakeSpan::new().level(tracing::Level::INFO))
                    .on_response(DefaultOnResponse::new().level(tracing::Level::INFO));
                router.layer(layer)
            }
        }
    }
}

/// Blocks A B B A with the same two processes, and the number of pairs of processes.
const BLOCKS: usize = 4;
const PAIRS: usize = 5;
/// Requests of one measurement.
const REQUESTS: u32 = 20_000;

/// The figures of a variant beside axum alone.
pub(crate) struct Compared {
    pub(crate) variant: Variant,
    /// CPU time of a whole request.
    pub(crate) nanoseconds: Median,
    /// Time added to axum alone, in the same blocks.
    pub(crate) added: Median,
}

/// Measures every variant beside axum alone.
pub(crate) fn compare_all() -> Result<Vec<Compared>, Failure> {
    Variant::ALL.into_iter().map(compare).collect()
}

fn compare(variant: Variant) -> Result<Compared, Failure> {
    let (mut whole, mut added) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let worker = |variant: Variant| Worker::with_arguments(&["http-worker", variant.name()]);
        let (mut base, mut other) = (worker(Variant::Axum)?, worker(variant)?);
        for _ in 0..BLOCKS {
            let (a, b) = (base.ask("")?, other.ask("")?);
            let (c, d) = (other.ask("")?, base.ask("")?);
            whole.push(f64::midpoint(b, c));
            added.push(f64::midpoint(b, c) - f64::midpoint(a, d));
        }
    }
    Ok(Compared {
        variant,
        nanoseconds: Median::of(whole),
        added: Median::of(added),
    })
}

/// Runs in the worker process: answers until the input ends.
pub(crate) fn run_worker(variant: Variant) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    // axum-prometheus spawns a task for its upkeep.
    let router = {
        let _entered = runtime.enter();
        variant.router()
    };
    let run = || {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                let request = Request::get("/items/7")
                    .body(Body::empty())
                    .expect("a request");
                // Neither can fail.
                let Ok(answer) = router.clone().oneshot(request).await;
                let _ = answer.into_body().collect().await;
            }
        });
        let after = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = (after.tv_sec - before.tv_sec) as f64;
        (seconds * 1e9 + (after.tv_nsec - before.tv_nsec) as f64) / f64::from(REQUESTS)
    };
    run();
    for question in std::io::stdin().lines() {
        question?;
        println!("{}", run());
    }
    Ok(())
}
