//! Tests Slack and `PagerDuty` against a TLS sink with a custom authority, and against their own Python packages.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use llm_observatory::{
    ClientOptions, OutgoingClient,
    alerting::{
        ChannelConfig, FailureClass, Message, MessageStatus, Notifier, NotifyError,
        PagerDutyOptions, Reason, SlackOptions,
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::{
    channels_support::{
        Certificates, hostile, observatory, python, send, storm, tested, two_alerts,
    },
    process::{free_port, python_with},
};

const KEY: &str = "R0123456789abcdef0123456789abcde";

/// A server that gives the same response to every request, and forwards the bodies.
struct Sink {
    port: u16,
    authority: Vec<u8>,
    bodies: mpsc::Receiver<Value>,
}

impl Sink {
    fn start(answer: &'static str) -> Self {
        let certificates = Certificates::new();
        let authority = certificates.authority_der.clone();
        let (sender, bodies) = mpsc::channel();
        let (started, port) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(&certificates, answer, &started, &sender));
        });
        let port = port.recv().unwrap();
        Self {
            port,
            authority,
            bodies,
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/services/T0/B0/token", self.port)
    }

    fn client(&self) -> OutgoingClient {
        let options = ClientOptions::default().with_authority(self.authority.clone());
        OutgoingClient::new(&options).unwrap()
    }

    fn slack(&self) -> Arc<dyn Notifier> {
        let built = SlackOptions::new(self.url()).build("slack", &self.client());
        built.unwrap().remove(0)
    }

    fn pagerduty(&self) -> Arc<dyn Notifier> {
        let options = PagerDutyOptions::new(KEY).with_url(self.url());
        options
            .build("pagerduty", &self.client())
            .unwrap()
            .remove(0)
    }
}

async fn serve(
    certificates: &Certificates,
    answer: &'static str,
    started: &mpsc::Sender<u16>,
    bodies: &mpsc::Sender<Value>,
) {
    let key = PrivateKeyDer::try_from(certificates.key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificates.certificate_der.clone())];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    started.send(listener.local_addr().unwrap().port()).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that does not trust the sink ends the handshake.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = Vec::new();
        let body = loop {
            let mut buffer = [0; 8_192];
            let count = stream.read(&mut buffer).await.unwrap();
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                break serde_json::from_str(body).unwrap();
            }
        };
        let _ = bodies.send(body);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

fn failure(notifier: &Arc<dyn Notifier>) -> NotifyError {
    let error = send(notifier, &two_alerts(MessageStatus::Firing)).unwrap_err();
    assert!(
        !error.text.contains("token") && !error.text.contains(KEY),
        "{error}"
    );
    error
}

#[test]
fn slack_takes_a_message_over_tls() {
    let sink = Sink::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let receipt = send(&sink.slack(), &two_alerts(MessageStatus::Firing)).unwrap();
    assert_eq!(receipt.answer, "200 OK: ok");
    let body = sink.bodies.recv().unwrap();
    assert_eq!(body["channel"], "#alerts");
    let text = body["attachments"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("<https://traces.example/4bf92f3577b34da6|Trace>"),
        "{text}"
    );
}

#[test]
fn pagerduty_opens_acknowledges_and_closes_one_incident() {
    let answer = "HTTP/1.1 202 Accepted\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"status\":\"success\"}";
    let sink = Sink::start(answer);
    let notifier = sink.pagerduty();
    let mut acknowledged = two_alerts(MessageStatus::Firing);
    acknowledged.reason = Reason::Acknowledged {
        by: "Ada".to_owned(),
        comment: String::new(),
    };
    let messages = [
        two_alerts(MessageStatus::Firing),
        acknowledged,
        two_alerts(MessageStatus::Resolved),
    ];
    for message in &messages {
        let receipt = send(&notifier, message).unwrap();
        assert_eq!(receipt.answer, "202 Accepted: {\"status\":\"success\"}");
    }
    let events: Vec<Value> = messages
        .iter()
        .map(|_| sink.bodies.recv().unwrap())
        .collect();
    let actions = events
        .iter()
        .map(|event| event["event_action"].as_str().unwrap());
    assert_eq!(
        actions.collect::<Vec<_>>(),
        ["trigger", "acknowledge", "resolve"]
    );
    assert!(
        events
            .iter()
            .all(|event| event["dedup_key"] == events[0]["dedup_key"])
    );
}

#[test]
fn an_error_names_the_cause_precisely() {
    let sink = Sink::start(
        "HTTP/1.1 200 OK\r\ncontent-length: 21\r\nconnection: close\r\n\r\n<html>log in</html>\nx",
    );
    let error = failure(&sink.slack());
    assert_eq!(
        error.text,
        "200 OK: <html>log in</html>, but Slack answers `ok`"
    );
    assert!(!error.is_retryable);

    let untrusting = OutgoingClient::new(&ClientOptions::default()).unwrap();
    let slack = |url: String| {
        let built = SlackOptions::new(url).build("slack", &untrusting);
        built.unwrap().remove(0)
    };
    let error = failure(&slack(sink.url()));
    assert_eq!(
        error.text,
        "TLS failed: invalid peer certificate: UnknownIssuer"
    );

    let error = failure(&slack("https://no-such-host.invalid/token".to_owned()));
    assert!(
        error.text.starts_with("cannot connect: dns error: "),
        "{error}"
    );
    assert!(error.is_retryable && !error.maybe_received);

    let error = failure(&slack(format!("https://127.0.0.1:{}/token", free_port())));
    assert!(
        error.text.starts_with("cannot connect: ") && error.text.contains("refused"),
        "{error}"
    );

    let sink = Sink::start(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\nconnection: close\r\n\r\nno_service",
    );
    let error = failure(&sink.slack());
    assert_eq!(error.text, "404 Not Found: no_service");
    assert_eq!(
        (error.class, error.is_retryable),
        (FailureClass::ClientError, false)
    );
}

#[test]
fn a_rate_limit_is_respected() {
    let sink = Sink::start(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let error = failure(&sink.slack());
    assert_eq!(
        (error.class, error.is_retryable),
        (FailureClass::RateLimited, true)
    );
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(
        failure(&sink.pagerduty()).retry_after,
        Some(Duration::from_mins(2))
    );
}

/// Returns the body that arrives at a sink.
fn arrived(notifier: impl Fn(&Sink) -> Arc<dyn Notifier>, message: &Message) -> Value {
    let sink = Sink::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    send(&notifier(&sink), message).unwrap();
    sink.bodies.recv().unwrap()
}

/// Slack's own models accept every field of our messages and write the same JSON.
const SLACK: &str = r#"
import json, sys
from slack_sdk.models.attachments import Attachment, AttachmentField
body = json.load(sys.stdin)
ours = body["attachments"][0]
fields = [AttachmentField(**field) for field in ours["fields"]]
names = {"mrkdwn_in": "markdown_in"}
rest = {names.get(k, k): v for k, v in ours.items() if k != "fields"}
attachment = Attachment(fields=fields, **rest)
attachment.validate_json()
print(json.dumps([attachment.to_dict(), ours]))
"#;

#[test]
fn slack_sdk_builds_the_same_attachment() {
    let Some(with) = python_with("slack_sdk") else {
        return;
    };
    for message in [
        two_alerts(MessageStatus::Firing),
        two_alerts(MessageStatus::Resolved),
        hostile(),
        storm(50),
    ] {
        let body = arrived(Sink::slack, &message);
        let both = python(&with, SLACK, &body.to_string());
        assert_eq!(both[0], both[1]);
    }
}

/// `PagerDuty`'s own client sends the same event for the same input.
const PAGERDUTY: &str = r#"
import http.server, json, sys, threading
import pagerduty
events = []
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        body = b'{"status":"success","dedup_key":"k"}'
        self.send_response(202)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
ours = json.load(sys.stdin)
client = pagerduty.EventsApiV2Client(ours["trigger"]["routing_key"])
# Its setter wants https.
client._url = "http://127.0.0.1:%d" % server.server_port
event = ours["trigger"]
payload = event["payload"]
extra = {k: v for k, v in payload.items() if k not in ("summary", "source", "severity", "custom_details")}
client.trigger(payload["summary"], payload["source"], dedup_key=event["dedup_key"], severity=payload["severity"],
    payload=extra, custom_details=payload["custom_details"], links=event["links"])
client.acknowledge(ours["acknowledge"]["dedup_key"])
client.resolve(ours["resolve"]["dedup_key"])
print(json.dumps(events))
"#;

#[test]
fn the_pagerduty_client_sends_the_same_events() {
    let Some(with) = python_with("pagerduty") else {
        return;
    };
    let mut acknowledged = two_alerts(MessageStatus::Firing);
    acknowledged.reason = Reason::Acknowledged {
        by: "Ada".to_owned(),
        comment: String::new(),
    };
    for message in [two_alerts(MessageStatus::Firing), hostile(), storm(1_000)] {
        let mut trigger = arrived(Sink::pagerduty, &message);
        let acknowledge = arrived(Sink::pagerduty, &acknowledged);
        let resolve = arrived(Sink::pagerduty, &two_alerts(MessageStatus::Resolved));
        let input = serde_json::json!({
            "trigger": trigger, "acknowledge": acknowledge, "resolve": resolve,
        });
        let theirs = python(&with, PAGERDUTY, &input.to_string());
        // The client cannot send these two fields, which the API accepts.
        let event = trigger.as_object_mut().unwrap();
        assert!(event.remove("client").is_some() && event.remove("client_url").is_some());
        assert_eq!(theirs, serde_json::json!([trigger, acknowledge, resolve]));
    }
}

#[test]
fn a_test_of_slack_reports_its_response_with_the_configured_authority() {
    let sink = Sink::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let channel = || ChannelConfig::slack(SlackOptions::new(sink.url()));
    let http = ClientOptions::default().with_authority(sink.authority.clone());
    let trusting = observatory("slack", channel(), http);
    assert_eq!(tested(&trusting, "slack"), ["200 OK: ok"]);
    let body = sink.bodies.recv().unwrap();
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["title"], "[FIRING:1] ObservatoryTest (info)");
    // Without a server, there is no link.
    assert_eq!(attachment.get("title_link"), None);
    let doubting = observatory("slack", channel(), ClientOptions::default());
    let expected = "TLS failed: invalid peer certificate: UnknownIssuer";
    assert_eq!(tested(&doubting, "slack"), [expected]);
}

#[test]
fn each_test_of_pagerduty_opens_and_resolves_its_own_incident() {
    let answer = "HTTP/1.1 202 Accepted\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"status\":\"success\"}";
    let sink = Sink::start(answer);
    let options = PagerDutyOptions::new(KEY).with_url(sink.url());
    let http = ClientOptions::default().with_authority(sink.authority.clone());
    let observatory = observatory("pagerduty", ChannelConfig::pagerduty(options), http);
    let accepted = "202 Accepted: {\"status\":\"success\"}";
    let keys = [(); 2].map(|()| {
        assert_eq!(tested(&observatory, "pagerduty"), [accepted]);
        let [opened, closed] = [(); 2].map(|()| sink.bodies.recv().unwrap());
        assert_eq!(opened["event_action"], "trigger");
        assert_eq!(closed["event_action"], "resolve");
        assert_eq!(opened["dedup_key"], closed["dedup_key"]);
        opened["dedup_key"].clone()
    });
    assert_ne!(keys[0], keys[1]);
}
