//! Tests a whole process: the last spans arrive however it ends, no secret leaves it, and a collector that misbehaves
//! costs it neither time nor memory.
//!
//! The binary has its own `main`, since it starts itself again as the process that ends.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{
    env,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use llm_observatory::{Config, Format, LogFormat, Observatory, TraceExporter, TracesConfig};
use tracing::{Level, Span, debug_span, error, info, info_span, instrument};

const ROLE: &str = "PROCESS_ROLE";
const ADDRESS: &str = "PROCESS_ADDRESS";
/// Secrets in every field, header and error of the run.
const CANARIES: [&str; 7] = [
    "sk-proj-canary0123456789abcdefghij",
    "canary@example.org",
    "4111 1111 1111 1111",
    "Bearer canary-token-0123456789",
    "token: canary0a1b2c3d4e5f",
    "postgres://app:canary-pass@db.example/x",
    r#"{"api_key": "canary json"}"#,
];
/// Card numbers in every form of number.
const CARDS: [i64; 2] = [4_111_111_111_111_111, 5_555_555_555_554_444];
/// Texts that no output of the run may contain.
const NOWHERE: [&str; 3] = ["canary", "4111111111111111", "5555555555554444"];

fn main() {
    match env::var(ROLE) {
        Ok(role) => child(&role),
        Err(_) => parent(),
    }
}

/// Runs as the process that ends.
fn child(role: &str) {
    if role == "notice" {
        let config = Config::load().unwrap().without_server();
        drop(Observatory::install(config).unwrap());
        return;
    }
    if role == "no_roots" {
        no_roots();
        return;
    }
    let observatory = Observatory::install(config()).unwrap();
    match role {
        "return" => info_span!("last one").in_scope(|| ()),
        "panic" => {
            let _span = info_span!("last one").entered();
            panic!("main panics");
        }
        "thread" => std::thread::spawn(|| info_span!("last one").in_scope(|| ()))
            .join()
            .unwrap(),
        "current_thread" => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                info_span!("last one").in_scope(|| ());
                observatory.shutdown().await;
            });
        }
        "inside_a_runtime" => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            // Dropped on the only thread of the runtime.
            runtime.block_on(async move {
                info_span!("last one").in_scope(|| ());
                drop(observatory);
            });
        }
        "canary" => canary(&observatory),
        "load" => load(&observatory),
        "debug" => debug(),
        other => panic!("no role {other}"),
    }
}

fn config() -> Config {
    let address = env::var(ADDRESS).unwrap();
    let mut traces = TracesConfig::default();
    traces.otlp.endpoint = Some(format!("http://{address}/v1/traces"));
    // The delay is longer than the test, so only the shutdown sends the spans.
    traces.batch.delay = Duration::from_mins(10);
    if env::var(ROLE).as_deref() == Ok("canary") {
        traces.exporters = vec![TraceExporter::Otlp, TraceExporter::Console];
        #[cfg(feature = "zipkin")]
        traces.exporters.push(TraceExporter::Zipkin);
        #[cfg(feature = "jaeger")]
        traces.exporters.push(TraceExporter::Jaeger);
        traces.logs.enabled = true;
        traces.logs.otlp.endpoint = Some(format!("http://{address}/v1/logs"));
        traces.zipkin.endpoint = format!("http://{address}/api/v2/spans");
        traces.jaeger.endpoint = format!("http://{address}/api/traces");
        traces.jaeger.user = Some("ann".to_owned());
        traces.jaeger.password = Some("canary-password".into());
        let key = ("x-api-key".to_owned(), "canary-header".into());
        traces.otlp.headers.extend([key]);
    }
    if env::var(ROLE).as_deref() == Ok("debug") {
        traces.logs.enabled = true;
        traces.logs.level = Level::DEBUG;
        traces.logs.otlp.endpoint = Some(format!("http://{address}/v1/logs"));
    }
    if env::var(ROLE).as_deref() == Ok("load") {
        traces.otlp.timeout = Duration::from_millis(200);
        traces.batch.delay = Duration::from_millis(50);
        // In a debug build, these would dominate the measurement.
        traces.redaction.masks = false;
        traces.batch.queue_size = 512;
        traces.batch.batch_size = 128;
    }
    let mut config = Config::default().without_server().with_traces(traces);
    config.shutdown_timeout = Duration::from_secs(10);
    config.log_format = LogFormat::Json;
    if env::var(ROLE).as_deref() == Ok("load") {
        // Spans without a log line are not formatted for the log.
        config = config.with_log_filter("warn");
    }
    config
}

/// Emits an event at a level that is exported as a log record and is not in the log.
fn debug() {
    info_span!("a span").in_scope(|| {
        debug_span!("a quiet span").in_scope(|| tracing::debug!("a quiet event"));
        tracing::trace!("a quieter event");
    });
}

#[instrument(err, fields(authorization = CANARIES[3], note = prompt))]
fn fails(prompt: &str, completion: &str) -> Result<(), String> {
    error!(prompt, api_key = CANARIES[0], "refused {completion}");
    Err(format!(
        "no account {} with key {}",
        CANARIES[1], CANARIES[0]
    ))
}

/// Starts with https receivers of traces, log records, metrics and alerts, and prints the metrics that it serves.
fn no_roots() {
    let mut config = config();
    let endpoint = Some("https://127.0.0.1:1/v1/anything".to_owned());
    config.traces.otlp.endpoint.clone_from(&endpoint);
    config.traces.logs.enabled = true;
    config.traces.logs.otlp.endpoint.clone_from(&endpoint);
    config.push.enabled = true;
    config.push.otlp.endpoint = endpoint;
    "warn".clone_into(&mut config.log_filter);
    #[cfg(feature = "alerting")]
    {
        let slack = llm_observatory::alerting::SlackOptions::new("https://127.0.0.1:1/hook");
        let slack = llm_observatory::alerting::ChannelKind::Slack(slack);
        let channel = llm_observatory::alerting::ChannelConfig::new(slack);
        config.alerting.channels.insert("slack".to_owned(), channel);
    }
    #[cfg(feature = "server")]
    {
        config.prometheus.enabled = true;
        config.prometheus.listen = "127.0.0.1:0".parse().unwrap();
    }
    let observatory = Observatory::install(config).unwrap();
    #[cfg(feature = "server")]
    {
        let mut stream = TcpStream::connect(observatory.listen_address().unwrap()).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        println!("{answer}");
    }
    #[cfg(not(feature = "server"))]
    println!("{}", observatory.export_metrics(Format::Prometheus));
    drop(observatory);
}

/// A machine without certificate authorities stops nothing.
fn starts_without_root_certificates() {
    let nonexistent = Path::new("/nonexistent");
    let output = Command::new(env::current_exe().unwrap())
        .env(ROLE, "no_roots")
        .env(ADDRESS, "127.0.0.1:1")
        .env("SSL_CERT_FILE", nonexistent)
        .env("SSL_CERT_DIR", nonexistent)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    let warnings = log.matches("no usable root certificates").count();
    assert_eq!(warnings, 1, "{log}");
    let metrics = String::from_utf8_lossy(&output.stdout);
    let clients = 3 + usize::from(cfg!(feature = "alerting"));
    let line = format!("observatory_bundled_root_clients {clients}");
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    println!("no_roots: started, one warning, {clients} clients counted");
}

fn canary(observatory: &Observatory) {
    for canary in CANARIES {
        let span = info_span!(
            "inference",
            model_id = "gpt-4o",
            prompt = canary,
            completion = canary,
            gen_ai.input.messages = canary,
            gen_ai.tool.call.arguments = canary,
            http.request.header.authorization = canary,
            note = canary,
            card = CARDS[0],
            session_token = "canary0a1b2c3d4e5f",
            otel.name = format!("chat {canary}"),
            marker = "a public marker",
        );
        span.in_scope(|| {
            info!(
                body = canary,
                content = canary,
                card = CARDS[0] as u64,
                "said {canary} and {}",
                CARDS[1]
            );
            Span::current().record("note", canary);
            let _ = fails(canary, canary);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let attributes = [("note", CANARIES[0]), ("prompt", CANARIES[1])];
    let work = async { Err::<(), _>(CANARIES[1]) };
    let named = observatory.try_with_span(CANARIES[1], attributes, work);
    let _ = runtime.block_on(named);
    #[cfg(feature = "alerting")]
    for canary in CANARIES {
        let alerts = observatory.alerts();
        let labels = [("account", canary), ("prompt", canary)];
        alerts.trigger(canary, None, canary, &labels).unwrap();
        println!("{:?}", alerts.active());
    }
    println!("{:?} {:?}", observatory.config(), observatory);
    let traces = observatory.traces();
    let shown: Vec<_> = traces
        .recent(99)
        .iter()
        .map(|trace| traces.spans(trace.trace_id))
        .collect();
    println!("{shown:?}");
}

/// Makes enough spans to fill the queues a hundred times over; prints the time and the results.
fn load(observatory: &Observatory) {
    let text = "x".repeat(1_000);
    let round = || {
        let start = Instant::now();
        for _ in 0..100 {
            info_span!("step", text).in_scope(|| ());
        }
        start.elapsed()
    };
    round();
    let before = resident_bytes();
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(1));
            round()
        })
        .collect();
    let grown = resident_bytes().saturating_sub(before);
    rounds.sort();
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let counted = |result: &str| {
        let series = format!("observatory_spans_total{{exporter=\"otlp\",result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap().parse::<u64>().unwrap()
    };
    let [exported, dropped, failed] = ["exported", "dropped", "failed"].map(counted);
    // The fastest tenth of the rounds, which excludes other load of the machine.
    let took = rounds[ROUNDS / 10].as_micros();
    println!("{took} {grown} {exported} {dropped} {failed}");
}

const ROUNDS: usize = 500;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// The behaviour of a collector.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Takes,
    /// Accepts requests, and never answers.
    Hangs,
    Refuses,
    Fails,
    Slow,
}

fn misbehaving() {
    let measure = |manner| {
        let start = Instant::now();
        let (output, _) = run("load", manner);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<u64> = said
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let [took, grown, exported, dropped, failed] = numbers[..] else {
            panic!("{output:?}");
        };
        let spans = (ROUNDS as u64 + 1) * 100;
        assert_eq!(exported + dropped + failed, spans, "{manner:?}: {said}");
        assert!(grown < 48 << 20, "{manner:?} grew by {grown} bytes");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = log.matches("could not be exported").count();
        let minutes = start.elapsed().as_secs() / 60;
        assert!(lines as u64 <= 1 + minutes, "one line a minute: {log}");
        if lines > 0 {
            assert!(log.contains("/v1/traces"), "no address in {log}");
        }
        if manner != Manner::Slow {
            assert_eq!(exported > 0, manner == Manner::Takes, "{manner:?}: {said}");
        }
        println!(
            "{manner:?}: 100 spans take {took} µs, memory grew by {} KiB, {exported} exported, {dropped} dropped, {failed} failed",
            grown >> 10
        );
        took
    };
    let usual = measure(Manner::Takes);
    for manner in [Manner::Hangs, Manner::Refuses, Manner::Fails, Manner::Slow] {
        let took = measure(manner);
        // Dropping costs less than sending; the margin is for the noise of the machine.
        assert!(
            took <= 2 * usual + 200,
            "{manner:?}: {took} µs, else {usual} µs"
        );
    }
}

fn parent() {
    starts_without_root_certificates();
    if cfg!(target_os = "linux") {
        misbehaving();
    }
    for role in [
        "return",
        "panic",
        "thread",
        "current_thread",
        "inside_a_runtime",
    ] {
        let start = Instant::now();
        let (output, bodies) = run(role, Manner::Takes);
        assert_eq!(
            output.status.success(),
            role != "panic",
            "{role}: {output:?}"
        );
        let text = String::from_utf8_lossy(&bodies);
        assert!(text.contains("last one"), "{role}: {output:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{role}");
        println!("{role}: the last span arrived");
    }
    let (output, _) = run("notice", Manner::Takes);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        log.matches(r#"OTEL_BSP_SCHEDULE_DELAY is "5s""#).count(),
        1,
        "{log}"
    );
    println!("notice: said once, in a process that ends at once");
    let (output, bodies) = run("debug", Manner::Takes);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("a quiet"), "{log}");
    let sent = String::from_utf8_lossy(&bodies);
    assert_eq!(
        sent.matches("a quiet event").count(),
        1,
        "in no span: {sent}"
    );
    assert!(sent.contains("a span"), "{sent}");
    assert!(
        !sent.contains("a quiet span") && !sent.contains("a quieter"),
        "{sent}"
    );
    println!("debug: exported as log records, and nowhere else");
    let (output, bodies) = run("canary", Manner::Takes);
    assert!(output.status.success(), "{output:?}");
    let requests = String::from_utf8_lossy(&bodies).into_owned();
    // Spans over OTLP, and log records.
    let exporters =
        2 + usize::from(cfg!(feature = "zipkin")) + usize::from(cfg!(feature = "jaeger"));
    assert_eq!(requests.matches("POST /").count(), exporters, "{requests}");
    let printed = [&*output.stdout, &*output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(requests.contains("POST /v1/logs") && requests.contains("no account"));
    assert!(printed.contains("a public marker") && requests.contains("a public marker"));
    assert!(
        printed.contains("no account"),
        "errors are logged: {printed}"
    );
    // The receiver's own account is part of the address and only for the receiver.
    assert!(requests.contains("x-api-key: canary-header"));
    assert!(!printed.contains("canary-header") && !printed.contains("canary-password"));
    let requests = requests.replace("x-api-key: canary-header", "");
    for (what, text) in [("an exporter's bytes", &requests), ("the output", &printed)] {
        for canary in CANARIES.into_iter().chain(NOWHERE) {
            let found = text.find(canary).map(|place| {
                let from = text[..place]
                    .char_indices()
                    .rev()
                    .nth(80)
                    .map_or(0, |(at, _)| at);
                text[from..].chars().take(200).collect::<String>()
            });
            assert_eq!(found, None, "{canary} in {what}");
        }
    }
    println!("canary: none found");
}

/// Returns the output of a process, and everything that it sent until its end.
fn run(role: &str, manner: Manner) -> (Output, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    // Once the listener is dropped, the port belongs to no process.
    if manner != Manner::Refuses {
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || receive(stream.unwrap(), manner, &kept));
            }
        });
    }
    let output = Command::new(env::current_exe().unwrap())
        .env(ROLE, role)
        .env(ADDRESS, address)
        // For the role that loads its configuration.
        .env("OTEL_BSP_SCHEDULE_DELAY", "5s")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let bodies = bodies.lock().unwrap().clone();
    (output, bodies)
}

/// Receives requests until the client disconnects.
fn receive(mut stream: TcpStream, manner: Manner, kept: &Mutex<Vec<u8>>) {
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut part).unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend(&part[..read]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        let end = head + 4 + length;
        if bytes.len() >= end {
            kept.lock().unwrap().extend(bytes.drain(..end));
            let status = match manner {
                Manner::Hangs | Manner::Refuses => continue,
                Manner::Slow => {
                    std::thread::sleep(Duration::from_millis(150));
                    "200 OK"
                }
                Manner::Takes => "200 OK",
                Manner::Fails => "500 Internal Server Error",
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            // A client whose timeout has passed has disconnected.
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}
