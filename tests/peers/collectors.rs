//! The example router beside collectors that misbehave: its clients notice nothing, its memory stays bounded, its log
//! stays quiet, and each span is accounted for.
//!
//! A router for each manner, all at once, loaded in turns: what else the machine does disturbs all of them alike. Each
//! of them sends its spans to Zipkin, too, where a receiver of ours takes and counts them.

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

/// Turns of each router, in each of which so many clients ask so many times.
const ROUNDS: usize = 6;
const CLIENTS: usize = 4;
const QUESTIONS: usize = 12;
const TOKENS: usize = 64;
const ASKED: usize = ROUNDS * CLIENTS * QUESTIONS;

/// Spans of a question: its connection, the request, the choice of a model, the inference.
const SPANS: usize = 4;
/// Spans of a start: four models are loaded, and asked for once.
const SPANS_OF_START: usize = 4 + 2;

/// A few turns fill the queues many times over where nobody takes what is in them.
const QUEUE: usize = 64;
const BATCH: usize = 32;
/// On their way at most: in two queues, between them, and in the request that is sent.
const MOST_WAITING: f64 = (2 * QUEUE + 2 * BATCH) as f64;
/// Time that an export may take, with its retries.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What a router may have grown by beyond the one whose collector is well.
const MOST_GROWN: u64 = 24 << 20;

/// How the collectors are, and how they are from the middle on.
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

/// A router, where its spans go, and what its clients saw.
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

/// What a turn took.
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

/// Spans of an exporter that are accounted for.
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

    /// A turn: all clients ask, and are answered rightly.
    fn load(&mut self) {
        let url = format!("http://{}/v1/chat/completions", self.router.address);
        let start = Instant::now();
        let mut took: Vec<Duration> = block_on(async {
            let clients = stream::iter(0..CLIENTS).map(|_| async {
                let mut took = Vec::new();
                for _ in 0..QUESTIONS {
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
            waiting <= MOST_WAITING,
            "{:?}: {waiting} spans wait",
            self.manners
        );
    }

    /// Spans of what has been asked so far.
    fn produced(&self) -> f64 {
        let asked = self.rounds.len() * CLIENTS * QUESTIONS;
        (SPANS_OF_START + asked * SPANS) as f64
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.router.process.0.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() << 10
    }

    /// The ratio to another's turns, each to its neighbour: the middle one.
    fn slower_than(&self, usual: &Self, of: impl Fn(&Round) -> Duration) -> f64 {
        let pairs = self.rounds.iter().zip(&usual.rounds);
        let mut ratios: Vec<f64> = pairs
            .map(|(own, other)| of(own).as_secs_f64() / of(other).as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// How long an answer takes, which must be whole.
async fn ask(url: &str) -> Duration {
    let body = serde_json::json!({
        "model": "auto", "stream": true, "max_tokens": TOKENS, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "What does a monitoring system do?" }],
    });
    // A connection of its own: how many there are is then known.
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

/// What became of spans, as the router says at its end: exported, dropped, failed.
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

/// All were answered, and ledger and metrics say so.
fn check_answers(case: &mut Case) {
    let report = case.router.report();
    let manners = case.manners;
    assert_eq!(report["broken"], Value::Array(Vec::new()), "{manners:?}");
    for column in ["ledger", "metrics"] {
        let of = |name| row(&report, name, column);
        assert_eq!(of("inferences, success"), ASKED as f64, "{manners:?}");
        assert_eq!(of("output tokens"), (ASKED * TOKENS) as f64, "{manners:?}");
        // The list of models was asked for at the start.
        assert_eq!(of("http 200"), (ASKED + 1) as f64, "{manners:?}");
        assert_eq!(of("in flight at the end"), 0.0, "{manners:?}");
    }
    // What it has to say of its spans comes last.
    let ended = || case.router.process.0.try_wait().unwrap();
    let status = wait_for("the end of the router", Duration::from_secs(20), ended);
    assert!(status.success(), "{manners:?}: {status}");
}

/// Exported, dropped and failed are as many as the questions had, for each exporter; and exported are those that
/// arrived.
fn check_spans(case: &Case, log: &str) {
    let manners = case.manners;
    let (otlp, zipkin) = (accounts(log, "otlp"), accounts(log, "zipkin"));
    let produced = (SPANS_OF_START + ASKED * SPANS) as u64;
    assert_eq!(otlp.iter().sum::<u64>(), produced, "{manners:?}: {otlp:?}");
    assert_eq!(
        zipkin.iter().sum::<u64>(),
        produced,
        "{manners:?}: {zipkin:?}"
    );
    // One exporter's bad collector is nothing to the other.
    let [exported, _, failed] = zipkin;
    assert_eq!((exported, failed), (sum(&case.zipkin.taken()), 0));
    assert!(exported > produced / 2, "{manners:?}: {zipkin:?}");
    let [exported, _, failed] = otlp;
    let taken = sum(&case.collector.taken());
    match manners.1 {
        Manner::Takes if manners.0 == Manner::Takes => {
            assert_eq!((exported, failed), (taken, 0), "{manners:?}: {otlp:?}");
            // Only where the machine does not get round to sending them.
            assert!(exported > produced / 2, "{manners:?}: {otlp:?}");
        }
        Manner::Takes => {
            assert_eq!(exported, taken, "{manners:?}: {otlp:?}");
            assert!(exported > 0 && failed > 0, "{manners:?}: {otlp:?}");
        }
        // What it takes after the router has given it up is counted as failed.
        Manner::Slow(_) => {
            assert!(exported > 0 && exported <= taken, "{manners:?}: {otlp:?}");
        }
        Manner::Refuses | Manner::Hangs | Manner::Fails(_) => {
            assert_eq!((exported, taken), (0, 0), "{manners:?}: {otlp:?}");
            assert!(failed > 0, "{manners:?}: {otlp:?}");
        }
    }
}

/// One line a minute at most, whoever writes it.
fn check_log(case: &Case, log: &str) {
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| ["WARN", "ERROR"].iter().any(|level| line.contains(level)))
        .collect();
    let minutes = case.started.elapsed().as_secs() / 60;
    assert!(complaints.len() as u64 <= 1 + minutes, "{complaints:#?}");
    // One that is slow may be too slow where the machine is.
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
        // There and back: who is first in one turn is last in the next.
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
        // Spans that are exported in the way of requests take whole timeouts.
        assert!(slower < 1.5, "{manners:?}: {slower}, {:?}", case.rounds);
        assert!(longer < 1.5, "{manners:?}: {longer}, {:?}", case.rounds);
        assert!(
            *grown <= usual_grown + MOST_GROWN,
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
