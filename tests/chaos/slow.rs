//! Clients that connect and do nothing, drip their requests, or do not read their answers, against the example.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    process::{Process, Router, request},
    report::{Latencies, Probed, Report, Scale},
};

/// The limit for `/metrics` and `/health` under attack. The short form runs in debug builds on shared machines, so its
/// limit catches a request that waits for a slow client, and no more.
const MAX_P99_MS: (f64, f64) = (1_000.0, 100.0);
/// The limit for the growth of the resident memory.
const MAX_GROWTH_MIB: f64 = 100.0;
/// The time after which a probe has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The paths that probes ask for.
const PROBED: [&str; 2] = ["/metrics", "/health"];

pub(crate) fn run(scale: Scale, report: &mut Report) {
    let Some(router) = Router::start(&["--speed", "20", "--fault-rate", "0.02"]) else {
        return;
    };
    // The queries need samples.
    thread::sleep(Duration::from_secs(scale.pick(4, 30)));
    let time = Duration::from_secs(scale.pick(4, 40));
    let prober = Prober::start(router.monitor, scale);
    thread::sleep(time);
    prober.finish(report, "no attack");
    for kind in Kind::ALL {
        attack(&router, &[kind], &kind.name(scale), (scale, time), report);
    }
    attack(
        &router,
        &Kind::ALL,
        "all at once",
        (scale, time * 2),
        report,
    );
    let prober = Prober::start(router.monitor, scale);
    thread::sleep(Duration::from_secs(2));
    prober.finish(report, "after the attacks");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Idle,
    Heads,
    Bodies,
    Scrapes,
    Queries,
    Ranges,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Idle,
        Self::Heads,
        Self::Bodies,
        Self::Scrapes,
        Self::Queries,
        Self::Ranges,
    ];

    fn connections(self, scale: Scale) -> usize {
        match self {
            Self::Idle => scale.pick(500, 2_000),
            Self::Heads => scale.pick(200, 500),
            Self::Bodies => 64,
            Self::Scrapes => 30,
            Self::Queries | Self::Ranges => 12,
        }
    }

    fn name(self, scale: Scale) -> String {
        let text = match self {
            Self::Idle => "idle connections",
            Self::Heads => "dripped heads",
            Self::Bodies => "dripped bodies",
            Self::Scrapes => "clients with pipelined scrapes, unread",
            Self::Queries => "unread queries of an hour",
            Self::Ranges => "unread range queries",
        };
        format!("{} {text}", self.connections(scale))
    }

    /// Returns the bytes that are sent at once, and the bytes that are dripped.
    fn bytes(self, address: SocketAddr) -> (String, &'static [u8]) {
        let all = "%7B__name__%3D~%22.%2B%22%7D";
        match self {
            Self::Idle => (String::new(), b""),
            Self::Heads => (
                format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nx-slow: "),
                b"abcdefgh",
            ),
            Self::Bodies => (
                format!(
                    "POST /api/v1/query HTTP/1.1\r\nhost: {address}\r\n\
                     content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\nquery="
                ),
                b"abcdefgh",
            ),
            Self::Scrapes => {
                let one = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\n\r\n");
                (one.repeat(200), b"")
            }
            Self::Queries => (
                format!(
                    "GET /api/v1/query?query={all}%5B1h%5D HTTP/1.1\r\nhost: {address}\r\n\r\n"
                ),
                b"",
            ),
            Self::Ranges => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_secs();
                let query = format!("{all}%20%40%20end()&start={}&end={now}&step=1", now - 8_999);
                (
                    format!(
                        "GET /api/v1/query_range?query={query} HTTP/1.1\r\nhost: {address}\r\n\r\n"
                    ),
                    b"",
                )
            }
        }
    }
}

fn attack(
    router: &Router,
    kinds: &[Kind],
    name: &str,
    (scale, time): (Scale, Duration),
    report: &mut Report,
) {
    let is_over = Arc::new(AtomicBool::new(false));
    let before = router.process.resident_mib();
    let attackers: Vec<JoinHandle<()>> = kinds
        .iter()
        .map(|kind| {
            let (kind, address, is_over) = (*kind, router.monitor, Arc::clone(&is_over));
            thread::spawn(move || occupy(kind, address, kind.connections(scale), &is_over))
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let prober = Prober::start(router.monitor, scale);
    let peak = watch(&router.process, time);
    prober.finish(report, name);
    report.at_most(
        format!("{name}: growth of the resident memory in MiB"),
        peak - before,
        MAX_GROWTH_MIB,
    );
    is_over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    thread::sleep(Duration::from_secs(1));
}

/// Returns the largest resident memory within `time`.
fn watch(process: &Process, time: Duration) -> f64 {
    let end = Instant::now() + time;
    let mut peak = 0.0_f64;
    while Instant::now() < end {
        peak = peak.max(process.resident_mib());
        thread::sleep(Duration::from_millis(50));
    }
    peak
}

/// Holds connections, and opens each that the server closes again.
fn occupy(kind: Kind, address: SocketAddr, connections: usize, is_over: &AtomicBool) {
    let open = || -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()?;
        stream.set_nonblocking(true).ok()?;
        let (bytes, _) = kind.bytes(address);
        // A server that does not read takes a part of the bytes, which suffices.
        let _ = (&stream).write_all(bytes.as_bytes());
        Some(stream)
    };
    let (_, drips) = kind.bytes(address);
    let mut held: Vec<Option<TcpStream>> = (0..connections).map(|_| open()).collect();
    let mut turn = 0;
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_secs(1));
        for place in &mut held {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let is_closed = place.as_mut().is_none_or(|stream| {
                if drips.is_empty() {
                    is_closed_unread(stream)
                } else {
                    stream.write_all(&[drips[turn % drips.len()]]).is_err()
                }
            });
            if is_closed {
                *place = open();
            }
        }
        turn += 1;
    }
}

/// Returns whether the server closed a connection, without reading its answers.
fn is_closed_unread(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match stream.peek(&mut byte) {
        Ok(0) => true,
        Ok(_) => matches!(stream.take_error(), Ok(Some(_)) | Err(_)),
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Asks for `/metrics` and `/health` in turn, over a new connection each.
pub(crate) struct Prober {
    is_over: Arc<AtomicBool>,
    max_p99_ms: f64,
    thread: JoinHandle<Probed>,
}

impl Prober {
    pub(crate) fn start(address: SocketAddr, scale: Scale) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut probed = Probed::new();
            while !ended.load(Ordering::Relaxed) {
                for path in PROBED {
                    let start = Instant::now();
                    let answer = request(address, "GET", path, None, PROBE_TIMEOUT);
                    let is_answered = answer.is_ok_and(|(status, _)| status == 200);
                    let latencies: &mut Latencies = probed.entry(path).or_default();
                    latencies.add(is_answered.then(|| start.elapsed()));
                }
                thread::sleep(Duration::from_millis(20));
            }
            probed
        });
        Self {
            is_over,
            max_p99_ms: scale.pick(MAX_P99_MS.0, MAX_P99_MS.1),
            thread,
        }
    }

    pub(crate) fn finish(self, report: &mut Report, name: &str) {
        self.is_over.store(true, Ordering::Relaxed);
        for (path, latencies) in self.thread.join().unwrap() {
            report.exactly(
                format!("{name}: {path} failed of {}", latencies.count()),
                latencies.failed(),
                0,
            );
            report.at_most(
                format!("{name}: {path} p99 in ms"),
                latencies.p99_ms(),
                self.max_p99_ms,
            );
        }
    }
}
