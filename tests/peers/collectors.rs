//! Runs the example router beside collectors that misbehave: its clients notice nothing, its memory stays bounded, its
//! log stays quiet, and each span is accounted for.
//!
//! There is a router for each behaviour. They run concurrently and are loaded in turns, so that other load of the
//! machine affects all of them alike. Each router also exports its spans to Zipkin, where a receiver of ours counts
//! them.

use std::{
    fs::File,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;

use crate::{
    collector::{Collector, Manner, Taken},
    process::{Folder, block_on, total, wait_for},
    router::{self, Router, row},
};

/// Turns of each router, and the clients and requests of each turn.
const ROUNDS: usize = 6;
const CLIENTS: usize = 4;
const REQUESTS: usize = 12;
const TOKENS: usize = 64;
const TOTAL_REQUESTS: usize = ROUNDS * CLIENTS * REQUESTS;

/// Spans of a request: its connection, the request, the selection of a model, the inference.
const SPANS: usize = 4;
/// Spans of a start: four models are loaded, and listed once.
const SPANS_OF_START: usize = 4 + 2;

/// The size of the queues. A few turns fill them many times over if the collector accepts nothing.
const QUEUE: usize = 64;
const BATCH: usize = 32;
/// The maximum number of spans in transit: in two queues, between them, and in the current request.
const MAX_IN_TRANSIT: f64 = (2 * QUEUE + 2 * BATCH) as f64;
/// The time limit of an export, including its retries.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum growth beyond the router whose collector works.
const MAX_GROWTH_BYTES: u64 = 24 << 20;

/// The behaviours of the collectors in the first half and in the second half.
const MANNERS: [(Manner, Manner); 8] = [
    (Manner::Takes, Manner::Takes),
    (Manner::Refuses, Manner::Refuses),
    (Manner::Hangs, Manner::Hangs),
    (Manner::Fails(500), Manner::Fails(500)),
    (Manner::Fails(503), Manner::Fails(503)),
    (SLOW, SLOW),
    (Manner::Refuses, Manner::Takes),
    (Manner::Hangs, Manner::Takes),
];
const SLOW: Manner = Manner::Slow(Duration::from_secs(1));

/// A router, the collectors of its spans, and the results of its clients.
struct Case {
    manners: (Manner, Manner),
    router: Router,
    started: Instant,
    collector: Collector,
    zipkin: Collector,
    folder: Folder,
    before: u64,
    rounds: Vec<Round>,
}

/// The cost of a turn.
#[derive(Clone, Copy, Debug)]
struct Round {
    all: Duration,
    median: Duration,
}

fn spans_of_otlp(body: &[u8]) -> u64 {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

fn spans_of_zipkin(body: &[u8]) -> u64 {
    let spans: Vec<Value> = serde_json::from_slice(body).unwrap();
    spans.len() as u64
}

/// Returns the number of spans that an exporter accounts for.
fn counted(metrics: &str, exporter: &str) -> f64 {
    let labels = format!("exporter=\"{exporter}\"");
    total(metrics, "observatory_spans_total", &labels)
}

impl Case {
    fn start(manners: (Manner, Manner)) -> Self {
        let collector = Collector::start(manners.0, spans_of_otlp).unwrap();
        let zipkin = Collector::start(Manner::Takes, spans_of_zipkin).unwrap();
        let folder = Folder::new(&format!("collectors-{}", collector.address.port()));
        let log = File::create(folder.0.join("log")).unwrap();
        let environment = [
            // The load of the machine is no complaint about a collector.
            ("HEALTH_CHECK_ENABLED", "false"),
            ("OTEL_TRACES_EXPORTER", "otlp,zipkin"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                &format!("http://{}", collector.address),
            ),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                &TIMEOUT.as_millis().to_string(),
            ),
            (
                "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
                &format!("http://{}/api/v2/spans", zipkin.address),
            ),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", &QUEUE.to_string()),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &BATCH.to_string()),
        ];
        let arguments = ["--no-client", "--speed", "40"];
        let started = Instant::now();
        let router = router::start_logging(&arguments, &environment, Stdio::from(log));
        Self {
            manners,
            router,
            started,
            collector,
            zipkin,
            folder,
            before: 0,
            rounds: Vec::new(),
        }
    }

    /// Runs a turn: all clients send their requests and receive correct responses.
    fn load(&mut self) {
        let url = format!("http://{}/v1/chat/completions", self.router.address);
        let start = Instant::now();
        let mut took: Vec<Duration> = block_on(async {
            let clients = stream::iter(0..CLIENTS).map(|_| async {
                let mut took = Vec::new();
                for _ in 0..REQUESTS {
                    took.push(ask(&url).await);
                }
                took
            });
            clients
                .buffer_unordered(CLIENTS)
                .collect::<Vec<_>>()
                .await
                .concat()
        });
        took.sort();
        self.rounds.push(Round {
            all: start.elapsed(),
            median: took[took.len() / 2],
        });
        let waiting = self.produced() - counted(&self.router.metrics(), "otlp");
        assert!(
            waiting <= MAX_IN_TRANSIT,
            "{:?}: {waiting} spans wait",
            self.manners
        );
    }

    /// Returns the number of spans of the requests so far.
    fn produced(&self) -> f64 {
        let asked = self.rounds.len() * CLIENTS * REQUESTS;
        (SPANS_OF_START + asked * SPANS) as f64
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.router.process.0.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() << 10
    }

    /// Returns the median ratio to another router's turns, each to its neighbour.
    fn slower_than(&self, usual: &Self, of: impl Fn(&Round) -> Duration) -> f64 {
        let pairs = self.rounds.iter().zip(&usual.rounds);
        let mut ratios: Vec<f64> = pairs
            .map(|(own, other)| of(own).as_secs_f64() / of(other).as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// Returns the time of a response, which must be complete.
async fn ask(url: &str) -> Duration {
    let body = serde_json::json!({
        "model": "auto", "stream": true, "max_tokens": TOKENS, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "What does a monitoring system do?" }],
    });
    // A separate connection, so that their number is known.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let start = Instant::now();
    let asked = client.post(url).body(body.to_string()).send();
    let text = asked.await.unwrap().error_for_status().unwrap();
    let text = text.text().await.unwrap();
    let took = start.elapsed();
    let usage = format!("\"completion_tokens\":{TOKENS}");
    assert!(text.contains(&usage), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    took
}

/// Returns the router's own final counts of spans: exported, dropped, failed.
fn accounts(log: &str, exporter: &str) -> [u64; 3] {
    let start = format!("spans to {exporter}: ");
    let line = log.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("no account of {exporter} in {log}"));
    ["exported", "dropped", "failed"].map(|result| {
        let mut parts = line.split(", ").filter_map(|part| part.split_once(' '));
        let (count, _) = parts.find(|(_, name)| *name == result).unwrap();
        count.parse().unwrap()
    })
}

fn sum(taken: &[Taken]) -> u64 {
    taken.iter().map(|taken| taken.spans).sum()
}

/// Checks that all requests were answered, and that ledger and metrics agree.
fn check_answers(case: &mut Case) {
    let report = case.router.report();
    let manners = case.manners;
    assert_eq!(report["broken"], Value::Array(Vec::new()), "{manners:?}");
    for column in ["ledger", "metrics"] {
        let of = |name| row(&report, name, column);
        assert_eq!(
            of("inferences, success"),
            TOTAL_REQUESTS as f64,
            "{manners:?}"
        );
        assert_eq!(
            of("output tokens"),
            (TOTAL_REQUESTS * TOKENS) as f64,
            "{manners:?}"
        );
        // The list of models was requested at the start.
        assert_eq!(of("http 200"), (TOTAL_REQUESTS + 1) as f64, "{manners:?}");
        assert_eq!(of("in flight at the end"), 0.0, "{manners:?}");
    }
    // The router reports its spans last.
    let ended = || case.router.process.0.try_wait().unwrap();
    let status = wait_for("the end of the router", Duration::from_secs(20), ended);
    assert!(status.success(), "{manners:?}: {status}");
}

/// Checks that exported, dropped and failed spans sum up to the spans of the requests, for each exporter, and that the
/// exported spans have arrived.
fn check_spans(case: &Case, log: &str) {
    let manners = case.manners;
    let (otlp, zipkin) = (accounts(log, "otlp"), accounts(log, "zipkin"));
    let produced = (SPANS_OF_START + TOTAL_REQUESTS * SPANS) as u64;
    assert_eq!(otlp.iter().sum::<u64>(), produced, "{manners:?}: {otlp:?}");
    assert_eq!(
        zipkin.iter().sum::<u64>(),
        produced,
        "{manners:?}: {zipkin:?}"
    );
    // A collector that misbehaves does not affect the other exporter.
    let [exported, _, failed] = zipkin;
    assert_eq!((exported, failed), (sum(&case.zipkin.taken()), 0));
    assert!(exported > produced / 2, "{manners:?}: {zipkin:?}");
    let [exported, _, failed] = otlp;
    let taken = sum(&case.collector.taken());
    match manners.1 {
        Manner::Takes if manners.0 == Manner::Takes => {
            assert_eq!((exported, failed), (taken, 0), "{manners:?}: {otlp:?}");
            // Only if the machine is too busy to send them.
            assert!(exported > produced / 2, "{manners:?}: {otlp:?}");
        }
        Manner::Takes => {
            assert_eq!(exported, taken, "{manners:?}: {otlp:?}");
            assert!(exported > 0 && failed > 0, "{manners:?}: {otlp:?}");
        }
        // A request that the collector accepts after the router's timeout counts as failed.
        Manner::Slow(_) => {
            assert!(exported > 0 && exported <= taken, "{manners:?}: {otlp:?}");
        }
        Manner::Refuses | Manner::Hangs | Manner::Fails(_) => {
            assert_eq!((exported, taken), (0, 0), "{manners:?}: {otlp:?}");
            assert!(failed > 0, "{manners:?}: {otlp:?}");
        }
    }
}

/// Checks that each kind of line is logged at most once a minute.
fn check_log(case: &Case, log: &str) {
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| ["WARN", "ERROR"].iter().any(|level| line.contains(level)))
        .collect();
    let minutes = case.started.elapsed().as_secs() / 60;
    assert!(complaints.len() as u64 <= 1 + minutes, "{complaints:#?}");
    // A slow collector may be too slow on a busy machine.
    if !matches!(case.manners.0, Manner::Slow(_)) {
        let is_well = case.manners.0 == Manner::Takes;
        assert_eq!(is_well, complaints.is_empty(), "{:?}: {log}", case.manners);
    }
}

#[test]
fn a_collector_that_misbehaves_costs_the_router_neither_time_nor_memory_nor_a_span() {
    let mut cases = MANNERS.map(Case::start);
    for case in &mut cases {
        case.before = case.status("VmRSS:");
    }
    let mut back = Instant::now();
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            back = Instant::now();
            for case in cases.iter().filter(|case| case.manners.0 != case.manners.1) {
                case.collector.becomes(case.manners.1);
            }
        }
        // In alternating order: the first of one turn is the last of the next.
        if round % 2 == 0 {
            cases.iter_mut().for_each(Case::load);
        } else {
            cases.iter_mut().rev().for_each(Case::load);
        }
    }
    let grown: Vec<u64> = cases
        .iter()
        .map(|case| case.status("VmHWM:").saturating_sub(case.before))
        .collect();
    for case in &cases {
        let interrupt = format!("kill -INT {}", case.router.process.0.id());
        let sent = Command::new("sh").args(["-c", &interrupt]).status();
        assert!(sent.unwrap().success());
    }
    for case in &mut cases {
        check_answers(case);
    }
    let (usual, usual_grown) = (&cases[0], grown[0]);
    for (case, grown) in cases.iter().zip(&grown) {
        let manners = case.manners;
        let slower = case.slower_than(usual, |round| round.median);
        let longer = case.slower_than(usual, |round| round.all);
        let log = std::fs::read_to_string(case.folder.0.join("log")).unwrap();
        eprintln!(
            "{manners:?}: median × {slower:.2}, turns × {longer:.2}, grown by {} KiB, exported, dropped, failed: {:?}",
            grown >> 10,
            accounts(&log, "otlp"),
        );
        check_spans(case, &log);
        check_log(case, &log);
        // An export in the path of requests would take whole timeouts.
        assert!(slower < 1.5, "{manners:?}: {slower}, {:?}", case.rounds);
        assert!(longer < 1.5, "{manners:?}: {longer}, {:?}", case.rounds);
        assert!(
            *grown <= usual_grown + MAX_GROWTH_BYTES,
            "{manners:?} grew by {grown} bytes"
        );
        if manners.0 != manners.1 {
            let first = case.collector.taken()[0].at;
            let after = first.saturating_duration_since(back);
            eprintln!("{manners:?}: spans again after {after:?}");
            assert!(after < Duration::from_secs(8), "{manners:?}: {after:?}");
        }
    }
}
