//! Follows canaries, which are texts with secrets, through series, traces, alerts and notifications.

use llm_observatory::{
    FacadeSink, Format, Inference, MetricsSink, Model, ObservatoryLayer, Registry, RegistryOptions,
    Sink, SinkOptions,
};
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

use super::{
    canaries::{CANARIES, Canary},
    support::{sum, watched},
};

static METADATA: Metadata<'_> = Metadata::new("redaction", Level::INFO, None);

fn canaries() -> Vec<Canary> {
    let templates = CANARIES.iter().map(|(_, template)| template);
    templates.map(|template| Canary::new(template)).collect()
}

/// Returns the canaries that are masked in labels: keys and tokens, not addresses and numbers of cards.
fn keys() -> Vec<Canary> {
    let keys = CANARIES
        .iter()
        .filter(|(name, _)| !name.starts_with("e-mail") && *name != "card");
    keys.map(|(_, template)| Canary::new(template)).collect()
}

fn check_no_leak<'c>(what: &str, canaries: impl IntoIterator<Item = &'c Canary>, shown: &str) {
    for canary in canaries {
        if let Some(secret) = canary.leak(shown) {
            let at = shown.find(&secret[..12.min(secret.len())]).unwrap_or(0);
            let start = shown.floor_char_boundary(at.saturating_sub(200));
            let around: String = shown[start..].chars().take(500).collect();
            panic!("{what} shows {secret} of {:?}: …{around}…", canary.text);
        }
    }
}

/// Records a text as a label: by spans and events of a Layer, by a sink, and by a recorder.
fn record(text: &str, sink: &dyn Sink, recorder: &dyn Recorder) {
    drop(info_span!("inference", model_id = "m", error.r#type = text));
    drop(info_span!("cache", operation = "get", cache_type = text));
    info!(monotonic_counter.calls = 1, upstream = text);
    info!(histogram.call_seconds = 1.0, upstream = %text);
    let model = Model::new(text, "chat", "vllm");
    let inference = Inference::new(model, std::time::Duration::from_secs(1));
    sink.record(&inference.into());
    let key =
        |name: &'static str| Key::from_parts(name, vec![Label::new("upstream", text.to_owned())]);
    for _ in 0..2 {
        let counter = recorder.register_counter(&key("direct"), &METADATA);
        counter.increment(1);
        recorder.register_gauge(&key("level"), &METADATA).set(1.0);
        let histogram = recorder.register_histogram(&key("size_bytes"), &METADATA);
        histogram.record(1.0);
    }
}

#[test]
fn keys_in_labels_reach_no_exposition_by_any_way() {
    let watched = watched();
    let sink = MetricsSink::new(watched.registry.clone(), SinkOptions::default());
    let keys = keys();
    watched.run(|| {
        for key in &keys {
            record(&key.text, &sink, &watched.registry);
        }
    });
    for format in [Format::Prometheus, Format::OpenMetrics] {
        check_no_leak("the exposition", &keys, &watched.registry.render(format));
    }
    let text = watched.text();
    let count = keys.len() as f64;
    assert_eq!(sum(&text, "direct_total", ""), 2.0 * count);
    assert_eq!(sum(&text, "calls_total", ""), count);
    assert_eq!(sum(&text, "llm_router_errors_total", ""), count);
    assert_eq!(
        sum(&text, "direct_total", r#"upstream="key [masked] used""#),
        34.0
    );
}

#[test]
fn keys_in_labels_do_not_reach_a_foreign_recorder() {
    let keys = keys();
    let recorder = std::sync::Arc::new(PrometheusBuilder::new().build_recorder());
    let handle = recorder.handle();
    let facade = FacadeSink::new(recorder, "llm_router_", SinkOptions::default());
    let facade = std::sync::Arc::new(facade);
    let layer = ObservatoryLayer::new(std::sync::Arc::clone(&facade));
    let unused = Registry::new(RegistryOptions::default()).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for key in &keys {
            record(&key.text, &facade, &unused);
        }
    });
    let text = handle.render();
    check_no_leak("the foreign recorder", &keys, &text);
    assert_eq!(sum(&text, "llm_router_errors_total", ""), keys.len() as f64);
    assert_eq!(sum(&text, "calls", ""), keys.len() as f64);
}

#[test]
fn a_registry_and_a_facade_without_masks_keep_values() {
    let key = "gsk_x7Qk2Vd9mZt4Rw8LsB3N";
    let registry = Registry::new(RegistryOptions::default().without_masks()).unwrap();
    let of = Key::from_parts("direct", vec![Label::new("upstream", key)]);
    registry.register_counter(&of, &METADATA).increment(1);
    assert!(registry.render(Format::Prometheus).contains(key));
    let recorder = std::sync::Arc::new(PrometheusBuilder::new().build_recorder());
    let handle = recorder.handle();
    let sink = FacadeSink::new(recorder, "", SinkOptions::default().without_masks());
    let inference = Inference::new(Model::new(key, "", ""), std::time::Duration::from_secs(1));
    sink.record(&inference.into());
    assert!(handle.render().contains(key));
}

#[test]
fn a_new_key_with_each_call_makes_one_series_and_leaves_the_limit_to_others() {
    let options = RegistryOptions::default().with_series_limit(10);
    let registry = Registry::new(options).unwrap();
    let hit = |value: String| {
        let key = Key::from_parts("hits", vec![Label::new("upstream", value)]);
        registry.register_counter(&key, &METADATA).increment(1);
    };
    for number in 0..5_000 {
        hit(format!("gsk_x7Qk2Vd9mZt4Rw8LsB3N{number}"));
    }
    for number in 0..9 {
        hit(format!("host-{number}"));
    }
    let overflow = "observatory_series_overflowed_total";
    let text = registry.render(Format::Prometheus);
    let masked = r#"hits_total{upstream="[masked]"} 5000"#;
    assert!(text.contains(masked), "{text}");
    assert_eq!(sum(&text, "hits_total", ""), 5_009.0);
    assert_eq!(sum(&text, overflow, "hits_total"), 0.0);
    // The limit counts the masked series.
    hit("host-9".to_owned());
    hit("gsk_x7Qk2Vd9mZt4Rw8LsB3Nlast".to_owned());
    let text = registry.render(Format::Prometheus);
    assert_eq!(sum(&text, overflow, "hits_total"), 1.0);
    assert!(
        text.contains(r#"hits_total{upstream="[masked]"} 5001"#),
        "{text}"
    );
}

#[test]
fn a_sink_of_the_application_receives_values_as_recorded() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let store = std::sync::Arc::clone(&seen);
    let sink =
        llm_observatory::FnSink::new(move |observation: &llm_observatory::Observation<'_>| {
            store.lock().unwrap().push(format!("{observation:?}"));
        });
    let layer = ObservatoryLayer::new(sink);
    let key = "gsk_x7Qk2Vd9mZt4Rw8LsB3N";
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        drop(info_span!("cache", operation = "get", cache_type = key));
    });
    assert!(seen.lock().unwrap().iter().any(|seen| seen.contains(key)));
}

#[cfg(all(feature = "email", feature = "otlp"))]
mod notified {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::{Arc, Mutex},
    };

    use llm_observatory::{
        ClientOptions, Format, OutgoingClient, TracesConfig,
        alerting::{AlertRule, EmailOptions, Encryption, SlackOptions, WebhookOptions},
    };
    use tracing_subscriber::prelude::*;

    use super::{
        super::alerts_support::{quiet, watched},
        canaries, check_no_leak, info, info_span, keys, record,
    };

    type Inbox = Arc<Mutex<Vec<String>>>;

    /// Starts a server that talks to each connection with `talk`.
    fn server(talk: fn(TcpStream, &Inbox)) -> (u16, Inbox) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inbox = Inbox::default();
        let received = Arc::clone(&inbox);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let received = Arc::clone(&received);
                std::thread::spawn(move || talk(stream, &received));
            }
        });
        (port, inbox)
    }

    /// Accepts requests over HTTP, and stores their bodies.
    fn http(mut stream: TcpStream, inbox: &Inbox) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            inbox.lock().unwrap().push(String::from_utf8(body).unwrap());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    }

    /// Accepts mails, and stores their text without soft line breaks.
    fn smtp(mut stream: TcpStream, inbox: &Inbox) {
        let reader = BufReader::new(stream.try_clone().unwrap());
        let mut mail: Option<String> = None;
        let _ = stream.write_all(b"220 sink\r\n");
        for line in reader.lines().map_while(Result::ok) {
            let answer: &[u8] = match &mut mail {
                Some(text) if line == "." => {
                    inbox.lock().unwrap().push(text.replace("=\n", ""));
                    mail = None;
                    b"250 accepted\r\n"
                }
                Some(text) => {
                    text.push_str(&line);
                    text.push('\n');
                    continue;
                }
                None if line.eq_ignore_ascii_case("data") => {
                    mail = Some(String::new());
                    b"354 go on\r\n"
                }
                None => b"250 ok\r\n",
            };
            let _ = stream.write_all(answer);
        }
    }

    #[test]
    fn canaries_reach_no_trace_alert_mail_or_payload() {
        let (slack_port, slack) = server(http);
        let (hook_port, hook) = server(http);
        let (mail_port, mail) = server(smtp);
        let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
        let slack_url = format!("http://127.0.0.1:{slack_port}/services/T0/B0/x");
        let slack_options =
            SlackOptions::new(slack_url).with_min_interval(std::time::Duration::ZERO);
        let hook_options = WebhookOptions::new([format!("http://127.0.0.1:{hook_port}/hook")]);
        let mail_options =
            EmailOptions::new("127.0.0.1", "alerts@router.test", ["on-call@router.test"])
                .with_port(mail_port)
                .with_encryption(Encryption::None);
        let notifiers = [
            slack_options.build("slack", &client).unwrap(),
            hook_options.build("hook", &client).unwrap(),
            mail_options.build("mail").unwrap(),
        ];
        let mut traces = TracesConfig::default();
        traces.exporters.clear();
        let mut config = quiet().with_traces(traces).with_sampling_ratio(1.0);
        config.alerting.rules = vec![
            AlertRule::new("upstream_failing")
                .expr("calls_total > 0")
                .annotation("summary", "{{ $labels.upstream }} failed"),
        ];
        let mut watched = watched(config);
        let layer = watched.layer.take().unwrap();
        let observatory = &watched.observatory;
        watched.tick();
        let (canaries, keys) = (canaries(), keys());
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(observatory.log_export_layer());
        tracing::subscriber::with_default(subscriber, || {
            for (number, canary) in canaries.iter().enumerate() {
                let text = canary.text.as_str();
                let span = info_span!("step", upstream = text, note = ?text, message = %text);
                let _entered = span.enter();
                tracing::error!(cause = text, "failed: {text}");
                let rule = format!("rule_{number}");
                tracing::warn!(alert.rule = rule, upstream = text, "failed: {text}");
            }
            let sink = llm_observatory::FnSink::new(|_: &llm_observatory::Observation<'_>| ());
            for key in &keys {
                record(&key.text, &sink, &observatory.recorder());
            }
            info!("done");
        });
        let count = canaries.len() + 1;
        watched.tick_until("notifications", || {
            watched.mailbox.0.lock().unwrap().len() >= count
        });
        let messages = watched.mailbox.0.lock().unwrap().clone();
        check_no_leak("a message", &canaries, &format!("{messages:?}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for message in &messages {
            for notifier in notifiers.iter().flatten() {
                runtime.block_on(notifier.notify(message)).unwrap();
            }
        }
        for (what, inbox) in [("Slack", &slack), ("the webhook", &hook), ("a mail", &mail)] {
            let inbox = inbox.lock().unwrap();
            assert_eq!(inbox.len(), messages.len(), "{what}");
            for body in inbox.iter() {
                check_no_leak(what, &canaries, body);
                assert!(
                    body.contains("[masked]") || body.contains("done"),
                    "{what}: {body}"
                );
            }
        }
        let active = observatory.alerts().active();
        assert!(active.len() > canaries.len(), "{}", active.len());
        check_no_leak("an alert", &canaries, &format!("{active:?}"));
        let history = llm_observatory::alerting::HistoryQuery::default();
        let history = format!("{:?}", observatory.alerts().history(&history));
        check_no_leak("the history", &canaries, &history);
        for format in [Format::Prometheus, Format::OpenMetrics] {
            check_no_leak("/metrics", &keys, &observatory.export_metrics(format));
        }
        let now = watched.clock.clock().wall();
        let all = observatory.query(r#"{__name__=~".+"}"#, now).unwrap();
        check_no_leak("a query", &keys, &format!("{all:?}"));
        let live = observatory.traces();
        let kept = live.recent(999);
        let spans: Vec<_> = kept
            .iter()
            .flat_map(|trace| live.spans(trace.trace_id))
            .collect();
        assert!(spans.len() >= canaries.len(), "{}", spans.len());
        check_no_leak("a trace", &canaries, &format!("{kept:?} {spans:?}"));
        watched.observatory.shutdown_blocking();
    }
}
