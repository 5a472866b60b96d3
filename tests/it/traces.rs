//! Tests the export of spans to a receiver on loopback, and the accounting of each span.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use llm_observatory::{
    BatchConfig, Compression, Config, Format, Observatory, OtlpConfig, TailConfig, TraceExporter,
    TracesConfig,
};
use tracing_subscriber::prelude::*;

use super::support::sum;

/// The behaviour of a receiver.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Takes,
    /// Accepts the connection, and never answers.
    Hangs,
    /// Answers with this status.
    Answers(u16),
    /// Answers 503 at first.
    ComesBack,
    /// Answers 503 with `Retry-After: 60`.
    AsksForTime,
    /// Answers the first request only.
    HangsBehindTheFirst,
    /// Accepts the request, and rejects three of its items.
    RefusesThree,
    /// Accepts bodies of up to this many bytes.
    TakesUpTo(usize),
}

/// A receiver of OTLP over HTTP.
struct Receiver {
    address: String,
    requests: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Receiver {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (counted, kept) = (Arc::clone(&requests), Arc::clone(&bodies));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (counted, kept) = (Arc::clone(&counted), Arc::clone(&kept));
                std::thread::spawn(move || serve(stream.unwrap(), manner, &counted, &kept));
            }
        });
        Self {
            address,
            requests,
            bodies,
        }
    }
}

/// Serves one request for each connection.
fn serve(
    mut stream: TcpStream,
    manner: Manner,
    requests: &AtomicUsize,
    bodies: &Mutex<Vec<Vec<u8>>>,
) {
    if manner == Manner::Hangs {
        requests.fetch_add(1, Ordering::SeqCst);
        return std::thread::sleep(Duration::from_mins(1));
    }
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    let body = loop {
        let read = stream.read(&mut part).unwrap_or(0);
        bytes.extend(&part[..read]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if read == 0 {
                return;
            }
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if bytes.len() >= head + 4 + length {
            break length;
        }
    };
    let earlier = requests.fetch_add(1, Ordering::SeqCst);
    let status = match manner {
        Manner::HangsBehindTheFirst if earlier > 0 => {
            return std::thread::sleep(Duration::from_mins(1));
        }
        Manner::Answers(status) => status,
        Manner::ComesBack if earlier == 0 => 503,
        Manner::AsksForTime => 503,
        Manner::TakesUpTo(most) if body > most => 413,
        Manner::ComesBack
        | Manner::Takes
        | Manner::TakesUpTo(_)
        | Manner::HangsBehindTheFirst
        | Manner::RefusesThree
        | Manner::Hangs => 200,
    };
    if status == 200 {
        bodies.lock().unwrap().push(bytes);
    }
    let after = if manner == Manner::AsksForTime {
        "retry-after: 60\r\n"
    } else {
        ""
    };
    // partial_success { rejected: 3 }, which is the same for every signal.
    let body: &[u8] = if manner == Manner::RefusesThree {
        &[0x0a, 2, 0x08, 3]
    } else {
        &[]
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{after}connection: close\r\n\r\n"
    );
    let _ = stream.write_all(&[answer.as_bytes(), body].concat());
}

fn traces(address: &str) -> TracesConfig {
    let mut traces = TracesConfig::default();
    traces.otlp.endpoint = Some(format!("http://{address}/v1/traces"));
    traces.otlp.timeout = Duration::from_secs(1);
    traces.batch.delay = Duration::from_millis(20);
    traces
}

fn config(traces: TracesConfig) -> Config {
    let mut config = Config::default().without_server().with_traces(traces);
    config.shutdown_timeout = Duration::from_secs(3);
    config
}

/// Runs `work` with traces, and returns the results of its spans: exported, dropped, failed.
fn results(config: Config, exporter: &str, work: impl FnOnce()) -> [u64; 3] {
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    ["exported", "dropped", "failed"].map(|result| {
        let labels = format!("exporter=\"{exporter}\",result=\"{result}\"");
        sum(&text, "observatory_spans_total", &labels) as u64
    })
}

fn ten_spans() {
    for turn in 0..10 {
        tracing::info_span!(
            "step",
            turn,
            prompt = "tell me a s3cret",
            note = "key sk-abcdef0123456789"
        )
        .in_scope(|| ());
    }
}

#[test]
fn the_last_spans_arrive_without_a_runtime_and_without_content() {
    let receiver = Receiver::start(Manner::Takes);
    let mut traces = traces(&receiver.address);
    // The delay is longer than the test, so only the shutdown sends the spans.
    traces.batch.delay = Duration::from_mins(10);
    let start = Instant::now();
    assert_eq!(results(config(traces), "otlp", ten_spans), [10, 0, 0]);
    assert!(start.elapsed() < Duration::from_secs(2));
    let bodies = receiver.bodies.lock().unwrap();
    let text = String::from_utf8_lossy(&bodies.concat()).into_owned();
    assert!(
        text.contains("POST /v1/traces")
            && text.contains("[withheld]")
            && text.contains("service.name")
    );
    assert!(
        !text.contains("s3cret") && !text.contains("sk-abcdef"),
        "{text}"
    );
}

#[test]
fn the_last_spans_arrive_on_a_current_thread_runtime_too() {
    let receiver = Receiver::start(Manner::Takes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let exported =
        runtime.block_on(async { results(config(traces(&receiver.address)), "otlp", ten_spans) });
    assert_eq!(exported, [10, 0, 0]);
}

#[test]
fn a_span_is_exported_or_counted_whatever_the_receiver_does() {
    let of = |manner| {
        let receiver = Receiver::start(manner);
        let found = results(config(traces(&receiver.address)), "otlp", ten_spans);
        (found, receiver.requests.load(Ordering::SeqCst))
    };
    assert_eq!(of(Manner::ComesBack), ([10, 0, 0], 2), "tried again");
    assert_eq!(of(Manner::Answers(500)).0, [0, 0, 10]);
    assert_eq!(of(Manner::Answers(400)), ([0, 0, 10], 1), "not tried again");
    assert_eq!(of(Manner::Hangs).0, [0, 0, 10]);
    // No receiver.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        results(config(traces(&port.to_string())), "otlp", ten_spans),
        [0, 0, 10]
    );
}

#[test]
fn drops_of_a_full_queue_are_counted_and_the_shutdown_keeps_its_deadline() {
    let receiver = Receiver::start(Manner::Hangs);
    let mut traces = traces(&receiver.address);
    traces.otlp.timeout = Duration::from_mins(1);
    let mut batch = BatchConfig::default();
    batch.queue_size = 64;
    batch.batch_size = 16;
    batch.delay = Duration::from_millis(1);
    traces.batch = batch;
    let start = Instant::now();
    let [exported, dropped, failed] = results(config(traces), "otlp", || {
        for _ in 0..100 {
            ten_spans();
        }
    });
    assert_eq!((exported, dropped + failed), (0, 1_000));
    assert!(
        dropped > 800 && failed <= 16,
        "{dropped} dropped, {failed} failed"
    );
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn retry_after_is_respected_and_does_not_delay_the_shutdown() {
    let receiver = Receiver::start(Manner::AsksForTime);
    let start = Instant::now();
    let found = results(config(traces(&receiver.address)), "otlp", || {
        for _ in 0..10 {
            ten_spans();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let [exported, dropped, failed] = found;
    assert_eq!((exported, dropped + failed), (0, 100), "{found:?}");
    // `Retry-After` is longer than the deadline.
    assert_eq!(receiver.requests.load(Ordering::SeqCst), 1);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_batch_that_is_too_large_for_its_receiver_is_split() {
    let most = 64 << 10;
    let receiver = Receiver::start(Manner::TakesUpTo(most));
    let mut traces = traces(&receiver.address);
    traces.otlp.request_bytes = most;
    // All of them in one batch, at shutdown.
    traces.batch.delay = Duration::from_mins(10);
    let found = results(config(traces), "otlp", || {
        for number in 0..200 {
            let bytes = if number == 100 { most } else { 1_000 };
            tracing::info_span!("step", number, note = "x".repeat(bytes)).in_scope(|| ());
        }
    });
    assert_eq!(found, [199, 0, 1], "one is too large by itself");
    let requests = receiver.requests.load(Ordering::SeqCst);
    assert!((5..=8).contains(&requests), "{requests}");
}

#[test]
fn large_pushes_and_log_batches_are_split_too() {
    let most = 64 << 10;
    let receiver = Receiver::start(Manner::TakesUpTo(most));
    let mut traces = traces(&receiver.address);
    traces.logs.enabled = true;
    traces.logs.batch.delay = Duration::from_mins(10);
    traces.logs.otlp.endpoint = Some(format!("http://{}/v1/logs", receiver.address));
    traces.logs.otlp.request_bytes = most;
    let mut push = OtlpConfig::default();
    push.endpoint = Some(format!("http://{}/v1/metrics", receiver.address));
    push.request_bytes = most;
    let config = config(traces).with_metrics_push(Duration::from_mins(10), push);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(observatory.log_export_layer());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..200 {
            tracing::info!(note = "x".repeat(1_000), "a long line");
        }
        for number in 0..900 {
            let kind = format!("kind {number} {}", "x".repeat(90));
            tracing::info!(monotonic_counter.jobs = 1_u64, kind);
        }
    });
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |name: &str, result: &str| sum(&text, name, &format!("result=\"{result}\"")) as u64;
    let pushes = ["success", "failure"].map(|result| of("observatory_metric_pushes_total", result));
    let lines = ["exported", "failed"].map(|result| of("observatory_log_records_total", result));
    assert_eq!((pushes, lines[1]), ([1, 0], 0), "{lines:?}");
    let bodies = receiver.bodies.lock().unwrap();
    let of = |path: &str| {
        let text = bodies.iter().map(|body| String::from_utf8_lossy(body));
        text.filter(|text| text.starts_with(path))
            .collect::<Vec<_>>()
    };
    let (logs, metrics) = (of("POST /v1/logs"), of("POST /v1/metrics"));
    assert!(
        logs.len() > 3 && metrics.len() > 2,
        "{} {}",
        logs.len(),
        metrics.len()
    );
    let series: usize = metrics
        .iter()
        .map(|text| text.matches(" xxx").count())
        .sum();
    assert_eq!(series, 900);
}

#[test]
fn the_accepted_parts_of_a_batch_count_as_exported_at_shutdown() {
    let receiver = Receiver::start(Manner::HangsBehindTheFirst);
    let mut traces = traces(&receiver.address);
    traces.otlp.request_bytes = 64 << 10;
    traces.otlp.timeout = Duration::from_mins(1);
    traces.batch.delay = Duration::from_mins(10);
    let mut config = config(traces);
    config.shutdown_timeout = Duration::from_millis(500);
    let [exported, dropped, failed] = results(config, "otlp", || {
        for number in 0..100 {
            tracing::info_span!("step", number, note = "x".repeat(1_000)).in_scope(|| ());
        }
    });
    assert!((30..70).contains(&exported), "{exported}");
    assert_eq!(exported + dropped + failed, 100);
}

#[test]
fn an_exporter_that_is_named_twice_sends_once() {
    let receiver = Receiver::start(Manner::Takes);
    let mut traces = traces(&receiver.address);
    traces.exporters = vec![TraceExporter::Otlp, TraceExporter::Otlp];
    assert_eq!(results(config(traces), "otlp", ten_spans), [10, 0, 0]);
}

#[test]
fn an_exporter_that_hangs_does_not_affect_the_others() {
    let (hangs, takes) = (
        Receiver::start(Manner::Hangs),
        Receiver::start(Manner::Takes),
    );
    let mut traces = traces(&takes.address);
    traces.exporters = vec![TraceExporter::Jaeger, TraceExporter::Otlp];
    traces.jaeger.endpoint = format!("http://{}", hangs.address);
    traces.jaeger.timeout = Duration::from_millis(300);
    let (layer, observatory) = Observatory::builder(config(traces)).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), ten_spans);
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |labels: &str| sum(&text, "observatory_spans_total", labels);
    assert_eq!(of("exporter=\"otlp\",result=\"exported\""), 10.0);
    assert_eq!(of("exporter=\"jaeger\",result=\"failed\""), 10.0);
    let status = observatory.status().exporters;
    let [jaeger, otlp] = status.as_slice() else {
        panic!("two exporters: {status:?}");
    };
    assert_eq!(
        (jaeger.exporter, jaeger.failed, jaeger.waiting),
        ("jaeger", 10, 0)
    );
    let failure = jaeger.last_failure.as_ref().unwrap();
    assert!(failure.reason.contains("no answer in time"), "{failure:?}");
    assert_eq!(
        (otlp.exporter, otlp.exported, &otlp.last_failure),
        ("otlp", 10, &None)
    );
    assert!(
        otlp.address
            .ends_with(&format!("{}/v1/traces", takes.address)),
        "{otlp:?}"
    );
}

#[test]
fn an_invalid_address_does_not_fall_back_to_another() {
    let mut traces = traces("${COLLECTOR}:4318");
    traces.logs.enabled = true;
    let error = Observatory::builder(config(traces)).build::<tracing_subscriber::Registry>();
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("traces.otlp.endpoint") && error.contains("${COLLECTOR}"),
        "{error}"
    );
}

#[test]
fn an_unusable_certificate_is_an_error_of_its_own_signal() {
    let missing = std::path::PathBuf::from("/nowhere/client.pem");
    let check = |said: &str, set: &dyn Fn(&mut Config)| {
        let mut config = Config::default()
            .without_server()
            .with_trace_exporters([TraceExporter::Console]);
        set(&mut config);
        let error = Observatory::builder(config).build::<tracing_subscriber::Registry>();
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    };
    check(
        "push.otlp.certificate is /nowhere/client.pem, ",
        &|config| {
            config.push.enabled = true;
            config.push.otlp.certificate = Some(missing.clone());
        },
    );
    check("traces.logs.otlp.client_certificate is ", &|config| {
        config.traces.logs.enabled = true;
        config.traces.logs.otlp.client_certificate = Some(missing.clone());
        config.traces.logs.otlp.client_key = Some(missing.clone());
    });
    check("traces.jaeger.certificate is ", &|config| {
        config.traces.exporters = vec![TraceExporter::Jaeger];
        config.traces.jaeger.certificate = Some(missing.clone());
    });
}

#[test]
fn bodies_are_compressed_and_headers_sent_where_they_are_asked_for() {
    let receiver = Receiver::start(Manner::Takes);
    let mut traces = traces(&receiver.address);
    let mut otlp = OtlpConfig::default();
    otlp.endpoint = traces.otlp.endpoint.take();
    otlp.compression = Compression::Gzip;
    otlp.headers.insert("x-account".to_owned(), "mine".into());
    traces.otlp = otlp;
    assert_eq!(results(config(traces), "otlp", ten_spans), [10, 0, 0]);
    let bodies = receiver.bodies.lock().unwrap().concat();
    let head = bodies
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let text = String::from_utf8_lossy(&bodies[..head]).into_owned();
    assert!(
        text.contains("content-encoding: gzip") && text.contains("x-account: mine"),
        "{text}"
    );
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&bodies[head + 4..])
        .read_to_end(&mut plain)
        .unwrap();
    assert!(String::from_utf8_lossy(&plain).contains("service.name"));
}

#[test]
fn unsampled_traces_are_not_exported_and_do_not_change_metrics() {
    let receiver = Receiver::start(Manner::Takes);
    let config = config(traces(&receiver.address)).with_sampling_ratio(0.0);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("inference", model_id = "a").in_scope(|| ());
    });
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    assert_eq!(sum(&text, "llm_router_model_inference_total", ""), 1.0);
    assert_eq!(sum(&text, "observatory_spans_total", ""), 0.0);
}

#[test]
fn after_a_restart_traces_and_records_are_sent_again_and_the_gap_is_counted() {
    let receiver = Receiver::start(Manner::Takes);
    let mut traces = traces(&receiver.address);
    traces.logs.enabled = true;
    traces.logs.otlp.endpoint = Some(format!("http://{}/v1/logs", receiver.address));
    traces.logs.batch.delay = Duration::from_millis(20);
    let (layer, observatory) = Observatory::builder(config(traces)).build().unwrap();
    let log = observatory.log_export_layer();
    let subscriber = tracing_subscriber::registry().with(layer).with(log);
    tracing::subscriber::with_default(subscriber, || {
        let work = || tracing::info_span!("step").in_scope(|| tracing::warn!("a line"));
        work();
        observatory.shutdown_blocking();
        work();
        observatory.start().unwrap();
        work();
        observatory.shutdown_blocking();
    });
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |name: &str, result: &str| sum(&text, name, &format!("result=\"{result}\"")) as u64;
    for name in ["observatory_spans_total", "observatory_log_records_total"] {
        let found = ["exported", "dropped", "failed"].map(|result| of(name, result));
        assert_eq!(found, [2, 1, 0], "{name}");
    }
    assert_eq!(receiver.requests.load(Ordering::SeqCst), 4);
}

#[test]
fn histograms_name_the_traces_that_are_kept() {
    let receiver = Receiver::start(Manner::Takes);
    let exemplars = |ratio| {
        let config = config(traces(&receiver.address)).with_sampling_ratio(ratio);
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info_span!("inference", model_id = "a").in_scope(|| ());
        });
        observatory
            .export_metrics(Format::OpenMetrics)
            .matches("trace_id=")
            .count()
    };
    assert!(exemplars(1.0) > 0);
    assert_eq!(exemplars(0.0), 0);
}

#[test]
fn tail_sampling_keeps_failed_traces_with_their_late_spans_and_counts_the_rest() {
    let receiver = Receiver::start(Manner::Takes);
    let config =
        config(traces(&receiver.address)).with_tail_sampling(TailConfig::default().with_ratio(0.0));
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        ten_spans();
        let root = tracing::info_span!("root");
        let late = tracing::info_span!(parent: &root, "late");
        root.in_scope(|| {
            tracing::info_span!("inner").in_scope(|| tracing::error!("it broke"));
        });
        drop(root);
        late.in_scope(|| ());
    });
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |result: &str| {
        let labels = format!("exporter=\"otlp\",result=\"{result}\"");
        sum(&text, "observatory_spans_total", &labels) as u64
    };
    let found = ["exported", "sampled_out", "dropped", "failed"].map(of);
    assert_eq!(found, [3, 10, 0, 0]);
    let bodies = receiver.bodies.lock().unwrap().concat();
    let text = String::from_utf8_lossy(&bodies);
    assert!(text.contains("late") && text.contains("inner") && !text.contains("step"));
}

#[test]
fn a_trace_larger_than_the_queue_is_exported_completely_also_at_shutdown() {
    let receiver = Receiver::start(Manner::Takes);
    let mut traces = traces(&receiver.address);
    traces.batch.queue_size = 200;
    traces.batch.batch_size = 50;
    let config = config(traces).with_tail_sampling(TailConfig::default().with_ratio(1.0));
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let large = || {
            let root = tracing::info_span!("root");
            root.in_scope(|| {
                for turn in 1..500 {
                    tracing::info_span!("step").in_scope(|| ());
                    if turn % 10 == 0 {
                        // The intake queue is no larger than the export queue.
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
            root
        };
        drop(large());
        let undecided = large();
        observatory.shutdown_blocking();
        drop(undecided);
    });
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |result: &str| {
        let labels = format!("exporter=\"otlp\",result=\"{result}\"");
        sum(&text, "observatory_spans_total", &labels) as u64
    };
    // The root of the second trace ends after the export has stopped.
    let found = ["exported", "sampled_out", "dropped", "failed"].map(of);
    assert_eq!(found, [500 + 499, 0, 1, 0]);
}

#[test]
fn rejected_items_of_all_signals_are_counted_and_carry_the_same_resource() {
    let receiver = Receiver::start(Manner::RefusesThree);
    let mut traces = traces(&receiver.address);
    traces.logs.enabled = true;
    traces.logs.otlp.endpoint = Some(format!("http://{}/v1/logs", receiver.address));
    let mut push = OtlpConfig::default();
    push.endpoint = Some(format!("http://{}/v1/metrics", receiver.address));
    let mut config = config(traces).with_metrics_push(Duration::from_mins(10), push);
    let pod = ("k8s.pod.name".to_owned(), "router-0".to_owned());
    config.service.attributes.extend([pod]);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(observatory.log_export_layer());
    tracing::subscriber::with_default(subscriber, || {
        ten_spans();
        for _ in 0..5 {
            tracing::info!("a line");
        }
    });
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let of = |name: &str, result: &str| sum(&text, name, &format!("result=\"{result}\"")) as u64;
    let spans = ["exported", "failed"].map(|result| of("observatory_spans_total", result));
    let records = ["exported", "failed"].map(|result| of("observatory_log_records_total", result));
    let pushes = ["success", "partial"].map(|result| of("observatory_metric_pushes_total", result));
    assert_eq!((spans, records, pushes), ([7, 3], [2, 3], [0, 1]));
    let bodies = receiver.bodies.lock().unwrap();
    let instances: Vec<String> = bodies
        .iter()
        .map(|body| {
            let text = String::from_utf8_lossy(body);
            assert!(text.contains("router-0"), "{text}");
            let behind = text.split("service.instance.id").nth(1).unwrap();
            // Two tags and two lengths of protobuf.
            behind.chars().skip(4).take(36).collect()
        })
        .collect();
    assert_eq!(instances.len(), 3);
    assert!(
        instances.iter().all(|id| *id == instances[0]),
        "{instances:?}"
    );
    assert_eq!(instances[0].matches('-').count(), 4, "{instances:?}");
}

#[test]
fn a_shutdown_without_a_collector_is_short_and_logs_the_reason() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let mut traces = traces(&address);
    traces.otlp.timeout = Duration::from_mins(1);
    traces.batch.batch_size = 2;
    let mut config = config(traces);
    config.shutdown_timeout = Duration::from_mins(1);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), ten_spans);
    let start = Instant::now();
    observatory.shutdown_blocking();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let exporter = &observatory.status().exporters[0];
    assert_eq!((exporter.failed, exporter.waiting), (10, 0));
    let failure = exporter.last_failure.as_ref().unwrap();
    assert!(failure.reason.contains("cannot reach"), "{failure:?}");
}

#[test]
fn a_shutdown_waits_for_a_shutdown_in_progress() {
    let receiver = Receiver::start(Manner::Hangs);
    let mut config = config(traces(&receiver.address));
    config.shutdown_timeout = Duration::from_millis(500);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), ten_spans);
    let first = observatory.clone();
    let first = std::thread::spawn(move || first.shutdown_blocking());
    while observatory.status().components.running {
        std::thread::yield_now();
    }
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    assert_eq!(sum(&text, "observatory_spans_total", ""), 10.0);
    first.join().unwrap();
}

#[test]
fn a_receiver_of_spans_that_hangs_does_not_delay_the_last_log_records_and_push() {
    let (hangs, takes) = (
        Receiver::start(Manner::Hangs),
        Receiver::start(Manner::Takes),
    );
    let mut traces = traces(&hangs.address);
    traces.otlp.timeout = Duration::from_mins(1);
    traces.logs.enabled = true;
    traces.logs.batch.delay = Duration::from_mins(1);
    traces.logs.otlp.endpoint = Some(format!("http://{}/v1/logs", takes.address));
    let mut push = OtlpConfig::default();
    push.endpoint = Some(format!("http://{}/v1/metrics", takes.address));
    let mut config = config(traces).with_metrics_push(Duration::from_mins(10), push);
    config.shutdown_timeout = Duration::from_secs(1);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(observatory.log_export_layer());
    tracing::subscriber::with_default(subscriber, || {
        ten_spans();
        tracing::info!("the last words");
    });
    let start = Instant::now();
    observatory.shutdown_blocking();
    assert!(start.elapsed() < Duration::from_secs(3));
    let bodies = takes.bodies.lock().unwrap().concat();
    let text = String::from_utf8_lossy(&bodies);
    assert!(text.contains("POST /v1/logs") && text.contains("the last words"));
    assert!(text.contains("POST /v1/metrics") && text.contains("observatory_spans_total"));
}
