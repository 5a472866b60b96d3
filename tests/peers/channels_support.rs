//! Test support for channels: a certificate authority, and the group of `reference/payloads`.

use std::{io::Write as _, process::Command, process::Stdio, sync::Arc};

use llm_observatory::{
    ClientOptions, Config, Observatory, ObservatoryLayer,
    alerting::{
        Alert, ChannelConfig, Message, MessageStatus, Notifier, NotifyError, Receipt, TestResult,
    },
    query::Labels,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tracing_subscriber::Registry;

const START: i64 = 1_795_462_834_028;

/// An authority, and a certificate for `localhost` that it signed.
pub(crate) struct Certificates {
    pub(crate) authority_der: Vec<u8>,
    pub(crate) authority_pem: String,
    pub(crate) certificate_pem: String,
    pub(crate) certificate_der: Vec<u8>,
    pub(crate) key: KeyPair,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self {
            authority_der: authority.der().to_vec(),
            authority_pem: authority.pem(),
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key,
        }
    }
}

/// Two alerts of one rule, with a hostile label each.
pub(crate) fn two_alerts(status: MessageStatus) -> Message {
    let mut message = Message::test("all", START);
    let blank = message.alerts[0].clone();
    message.alerts = ["gpt-3.5-turbo <b>&", "llama-7b שלום"]
        .map(|model| {
            let labels = [
                ("alertname", "HighErrorRate"),
                ("component", "router"),
                ("model_id", model),
                ("severity", "critical"),
            ];
            let mut alert = Alert::new(Labels::from_pairs(labels), START);
            let description = format!("{model} fails too often.\n.\nIts error rate is 12.3 %.");
            alert
                .annotations
                .insert("description".to_owned(), description);
            if status == MessageStatus::Resolved {
                alert.ends_at = START + 50_000;
            }
            let mut own = blank.clone();
            own.status = status;
            own.fingerprint = alert.fingerprint();
            own.alert = Arc::new(alert);
            own
        })
        .to_vec();
    if status == MessageStatus::Resolved {
        message.created_at = START + 50_000;
    }
    message.status = status;
    message.severity = "critical".parse().unwrap();
    message.reason = llm_observatory::alerting::Reason::New;
    let own = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    message.common_labels = own(&[
        ("alertname", "HighErrorRate"),
        ("component", "router"),
        ("severity", "critical"),
    ]);
    message.common_annotations = own(&[
        ("summary", "Error rate > 5 %"),
        ("runbook_url", "https://runbooks.example/high_error_rate"),
        ("trace_url", "https://traces.example/4bf92f3577b34da6"),
    ]);
    message.external_url = String::from("http://observatory.example:9090");
    message
}

/// One alert in which every text is an attack.
pub(crate) fn hostile() -> Message {
    let huge = "🔥<&>\"".repeat(1 << 16);
    let labels = [
        (
            "alertname",
            "=?utf-8?B?QWxsIGZpbmU=?=\r\nBcc: everyone@example.com",
        ),
        ("component", "<!channel> & <script>alert(1)</script>"),
        ("huge", &huge),
        ("model_id", "\"quoted\" 'single' `code` *bold*"),
        ("severity", "critical"),
        ("tenant", "\u{202e}gpj.exe שלום"),
    ];
    let mut message = Message::test("all", START);
    let mut alert = Alert::new(Labels::from_pairs(labels), START);
    for (name, text) in [
        ("summary", "<img src=x onerror=alert(1)>\r\n.\r\nQUIT\r\n"),
        ("description", huge.as_str()),
        ("runbook_url", "javascript:alert(1)"),
        ("dashboard_url", "https://example.com/\"><script>|\u{202e}x"),
    ] {
        alert.annotations.insert(name.to_owned(), text.to_owned());
    }
    message.common_labels = labels
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    message.common_annotations = alert.annotations.clone();
    message.severity = "critical".parse().unwrap();
    message.alerts[0].alert = Arc::new(alert);
    message
}

/// Many alerts with long texts.
pub(crate) fn storm(count: usize) -> Message {
    let mut message = Message::test("all", START);
    let blank = message.alerts[0].clone();
    let alerts = (0..count).map(|number| {
        let instance = format!("{number}{}", "i".repeat(500));
        let labels = [
            ("alertname", "Slow"),
            ("instance", &instance),
            ("severity", "error"),
        ];
        let mut alert = Alert::new(Labels::from_pairs(labels), START);
        let description = format!("{number}\n{}", "<&>".repeat(2_000));
        alert
            .annotations
            .insert("description".to_owned(), description);
        let mut own = blank.clone();
        own.fingerprint = alert.fingerprint();
        own.alert = Arc::new(alert);
        own
    });
    message.alerts = alerts.collect();
    message.common_annotations.clear();
    message.external_url = String::from("http://observatory.example:9090");
    message
}

/// Builds a whole observatory with a single channel.
pub(crate) fn observatory(name: &str, channel: ChannelConfig, http: ClientOptions) -> Observatory {
    let mut config = Config::default().without_server();
    config.alerting.channels.clear();
    config.alerting.http = http;
    let built = Observatory::builder(config.with_channel(name, channel)).build();
    let (_, observatory): (ObservatoryLayer<Registry>, _) = built.unwrap();
    observatory
}

/// Returns the result of a test for each destination: its response, or the error.
pub(crate) fn tested(observatory: &Observatory, channel: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let results = runtime.block_on(observatory.alerts().send_test(channel));
    let text = |result: TestResult| {
        let outcome = result.outcome;
        outcome.map_or_else(|error| error.to_string(), |receipt| receipt.answer)
    };
    results.unwrap().into_iter().map(text).collect()
}

/// Makes one attempt, on its own runtime.
pub(crate) fn send(
    notifier: &Arc<dyn Notifier>,
    message: &Message,
) -> Result<Receipt, NotifyError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(notifier.notify(message))
}

/// Returns the JSON that a Python script prints for an input.
pub(crate) fn python(python: &str, script: &str, input: &str) -> Value {
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
