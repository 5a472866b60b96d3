//! Sends mail to exim, a real server, and to aiosmtpd for responses that exim does not give.

use std::{
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use llm_observatory::{
    ClientOptions,
    alerting::{
        ChannelConfig, EmailOptions, Encryption, FailureClass, Message, MessageStatus, Notifier,
        NotifyError,
    },
};
use serde_json::Value;

use crate::{
    channels_support::{Certificates, hostile, observatory, python, send, tested, two_alerts},
    process::{Folder, Process, free_port, python_with, skip_unless, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A mail server, and the authority that its clients trust.
struct MailServer {
    port: u16,
    authority: Vec<u8>,
    folder: Folder,
    _process: Process,
}

impl MailServer {
    fn options(&self, to: &[&str]) -> EmailOptions {
        let from = "LLM Router <alerts@example.com>";
        EmailOptions::new("localhost", from, to.iter().copied())
            .with_port(self.port)
            .with_authority(self.authority.clone())
            .with_login("router", "hunter2")
    }
}

fn notifiers(options: &EmailOptions) -> Vec<Arc<dyn Notifier>> {
    options.build("email").unwrap()
}

fn firing() -> Message {
    two_alerts(MessageStatus::Firing)
}

fn failure(options: &EmailOptions) -> NotifyError {
    let error = send(&notifiers(options)[0], &firing()).unwrap_err();
    assert!(!error.text.contains("hunter2"), "{error}");
    error
}

/// Creates a folder with a certificate.
fn folder(name: &str) -> (Folder, Vec<u8>) {
    let folder = Folder::new(name);
    let certificates = Certificates::new();
    folder.file("certificate.pem", &certificates.certificate_pem);
    folder.file("key.pem", &certificates.key.serialize_pem());
    (folder, certificates.authority_der)
}

fn listens(port: u16) {
    wait_for("the mail server", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// STARTTLS and AUTH, with one mailbox for every recipient except `gone`.
const EXIM: &str = r"
primary_hostname = mail.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
spool_directory = FOLDER/spool
log_file_path = FOLDER/%slog
pid_file_path = FOLDER/exim.pid
tls_advertise_hosts = TLS
tls_certificate = FOLDER/certificate.pem
tls_privatekey = FOLDER/key.pem
auth_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = check
acl_smtp_data = accept
begin acl
check:
  deny message = no such user
       local_parts = gone
  require message = log in first
          authenticated = *
  accept
begin routers
everybody:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  file = FOLDER/inbox
  mode_fail_narrower = false
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = AUTH
  server_prompts = PROMPTS
  server_condition = ${if and{{eq{USER}{router}}{eq{PASSWORD}{hunter2}}}}
";

/// The configuration of exim's PLAIN and LOGIN authenticators.
const PLAIN: [(&str, &str); 4] = [
    ("AUTH", "PLAIN"),
    ("PROMPTS", ":"),
    ("USER", "$auth2"),
    ("PASSWORD", "$auth3"),
];
const LOGIN: [(&str, &str); 4] = [
    ("AUTH", "LOGIN"),
    ("PROMPTS", "Username:: : Password::"),
    ("USER", "$auth1"),
    ("PASSWORD", "$auth2"),
];

fn exim(name: &str, auth: [(&str, &str); 4], offers_tls: bool) -> Option<MailServer> {
    let is_exim = Command::new("exim4")
        .arg("-bV")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if !skip_unless(is_exim && is_root, "exim4, run by root,") {
        return None;
    }
    let (folder, authority) = folder(name);
    let port = free_port();
    let path = folder.0.to_str().unwrap();
    let mut config = EXIM
        .replace(
            "public_name = AUTH",
            &format!("public_name = {}", auth[0].1),
        )
        .replace("FOLDER", path)
        .replace("= PORT", &format!("= {port}"))
        .replace("= TLS", if offers_tls { "= *" } else { "=" });
    for (key, value) in &auth[1..] {
        config = config.replace(key, value);
    }
    let config = folder.file("exim.conf", &config);
    let owned = Command::new("chown")
        .args(["-R", "Debian-exim:", path])
        .status();
    assert!(owned.unwrap().success());
    // exim refuses a configuration that other users can write.
    let owned = Command::new("chown")
        .args(["root:root", config.to_str().unwrap()])
        .status();
    assert!(owned.unwrap().success());
    let process = Command::new("exim4")
        .args(["-C", config.to_str().unwrap(), "-bdf", "-q1m"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    listens(port);
    Some(MailServer {
        port,
        authority,
        folder,
        _process: Process(process),
    })
}

/// Parses the first mail of a mailbox with Python's `email`.
const PARSE: &str = r#"
import email, email.policy, json, mailbox, sys
box = mailbox.mbox(sys.stdin.read())
mails = []
for raw in box:
    mail = email.message_from_bytes(raw.as_bytes(), policy=email.policy.default)
    parts = [part for part in mail.walk() if not part.is_multipart()]
    mails.append({
        "defects": [str(d) for part in mail.walk() for d in part.defects],
        "headers": {name.lower(): str(value) for name, value in mail.items()},
        "type": mail.get_content_type(),
        "types": [part.get_content_type() for part in parts],
        "texts": [part.get_content() for part in parts],
    })
print(json.dumps(mails))
"#;

fn inbox(path: &Path, count: usize) -> Vec<Value> {
    wait_for("the mail", PATIENCE, || {
        if !path.exists() {
            return None;
        }
        let mails = python("python3", PARSE, path.to_str().unwrap());
        let mails = mails.as_array().unwrap().clone();
        (mails.len() >= count).then_some(mails)
    })
}

#[test]
fn exim_delivers_a_mail_over_tls_and_python_reads_it() {
    for (name, auth) in [("exim-plain", PLAIN), ("exim-login", LOGIN)] {
        let Some(server) = exim(name, auth, true) else {
            return;
        };
        let notifier = &notifiers(&server.options(&["Ada <ada@example.com>"]))[0];
        let receipt = send(notifier, &firing()).unwrap();
        assert!(
            receipt.answer.starts_with("250 OK id="),
            "{}",
            receipt.answer
        );
        send(notifier, &two_alerts(MessageStatus::Resolved)).unwrap();
        let mails = inbox(&server.folder.0.join("inbox"), 2);
        let (first, second) = (&mails[0], &mails[1]);
        assert_eq!(first["defects"], serde_json::json!([]));
        assert_eq!(
            first["headers"]["subject"],
            "[FIRING:2] HighErrorRate (critical)"
        );
        assert_eq!(
            second["headers"]["subject"],
            "[RESOLVED] HighErrorRate (critical)"
        );
        assert_eq!(
            first["headers"]["references"],
            second["headers"]["references"]
        );
        assert_ne!(
            first["headers"]["message-id"],
            second["headers"]["message-id"]
        );
        assert_eq!(first["type"], "multipart/alternative");
        assert_eq!(
            first["types"],
            serde_json::json!(["text/plain", "text/html"])
        );
        let text = first["texts"][0].as_str().unwrap();
        assert!(text.contains("model_id: gpt-3.5-turbo <b>&"), "{text}");
        // A line with a single full stop must not end the mail.
        assert!(
            text.contains("\n  .\n  Its error rate is 12.3 %."),
            "{text}"
        );
        let html = first["texts"][1].as_str().unwrap();
        assert!(html.contains("gpt-3.5-turbo &lt;b&gt;&amp;") && html.contains("llama-7b שלום"));
        assert!(html.trim_end().ends_with("</html>"));
        let log = std::fs::read_to_string(server.folder.0.join("mainlog")).unwrap();
        assert!(log.contains("X=TLS1.3:"), "{log}");
        let failed = failure(
            &server
                .options(&["ada@example.com"])
                .with_login("router", "wrong"),
        );
        assert_eq!(
            failed.text,
            "the login failed: 535 Incorrect authentication data"
        );
        assert_eq!(
            (failed.class, failed.is_retryable),
            (FailureClass::AuthError, false)
        );
    }
}

#[test]
fn the_text_of_a_hostile_alert_arrives_unchanged() {
    let Some(server) = exim("exim-hostile", PLAIN, true) else {
        return;
    };
    let notifier = &notifiers(&server.options(&["ada@example.com"]))[0];
    // An attempt whose response was lost, and the next attempt.
    send(notifier, &hostile()).unwrap();
    send(notifier, &hostile()).unwrap();
    let mails = inbox(&server.folder.0.join("inbox"), 2);
    assert_eq!(mails[0]["defects"], serde_json::json!([]));
    let headers = &mails[0]["headers"];
    // An encoded word in the alert would be decoded as `All fine`.
    assert_eq!(
        headers["subject"],
        "[FIRING:1] = ?utf-8?B?QWxsIGZpbmU= ?=  Bcc: everyone@example.com (critical)"
    );
    assert_eq!(headers.get("bcc"), None);
    assert_eq!(headers["message-id"], mails[1]["headers"]["message-id"]);
}

#[test]
fn exim_without_tls_receives_neither_password_nor_mail() {
    let Some(server) = exim("exim-without-tls", PLAIN, false) else {
        return;
    };
    let error = failure(&server.options(&["ada@example.com"]));
    let port = server.port;
    let expected =
        format!("localhost:{port} does not offer STARTTLS, and nothing is sent unprotected");
    assert_eq!((error.text, error.is_retryable), (expected, false));
    // If it is explicitly allowed, a server on this machine receives both.
    let open = server
        .options(&["ada@example.com"])
        .with_encryption(Encryption::None);
    send(&notifiers(&open)[0], &firing()).unwrap();
}

#[test]
fn exim_with_an_unknown_authority_is_not_trusted() {
    let Some(server) = exim("exim-unknown", PLAIN, true) else {
        return;
    };
    let mut options = server.options(&["ada@example.com"]);
    options.authorities.clear();
    let error = failure(&options);
    let port = server.port;
    let expected =
        format!("TLS with localhost:{port} failed: invalid peer certificate: UnknownIssuer");
    assert_eq!((error.text, error.is_retryable), (expected, false));
}

#[test]
fn a_refused_recipient_does_not_affect_the_other_recipients() {
    let Some(server) = exim("exim-gone", PLAIN, true) else {
        return;
    };
    let to = ["gone@example.com", "ada@example.com", "grace@example.com"];
    let notifiers = notifiers(&server.options(&to));
    let error = send(&notifiers[0], &firing()).unwrap_err();
    assert_eq!(error.text, "the recipient was refused: 550 no such user");
    assert_eq!(
        (error.class, error.is_retryable),
        (FailureClass::ClientError, false)
    );
    for notifier in &notifiers[1..] {
        send(notifier, &firing()).unwrap();
    }
    let mails = inbox(&server.folder.0.join("inbox"), 2);
    let to = mails[0]["headers"]["to"].as_str().unwrap();
    assert_eq!(to, "gone@example.com, ada@example.com, grace@example.com");
}

/// A server whose response depends on the recipient's name. `implicit` uses TLS from the first byte.
const AIOSMTPD: &str = r#"
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
port, folder, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(folder + "/certificate.pem", folder + "/key.pem")
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("busy"): return "451 4.7.1 come back later"
        if address.startswith("slow"): await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"
    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("spam"): return "554 5.7.1 looks like spam"
        if envelope.rcpt_tos[0].startswith("late"): await asyncio.sleep(60)
        return "250 2.0.0 taken"
def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"router" and data.password == b"hunter2"
    return AuthResult(success=good, handled=not good and False)
async def main():
    loop = asyncio.get_running_loop()
    implicit = kind == "implicit"
    make = lambda: SMTP(Handler(), hostname="mail.example", authenticator=authenticate,
        tls_context=None if implicit else context, require_starttls=not implicit,
        auth_require_tls=not implicit, auth_required=True)
    server = await loop.create_server(make, "127.0.0.1", port, ssl=context if implicit else None)
    await server.serve_forever()
asyncio.run(main())
"#;

fn aiosmtpd(name: &str, kind: &str) -> Option<MailServer> {
    let with = python_with("aiosmtpd")?;
    let (folder, authority) = folder(name);
    let port = free_port();
    let process = Command::new(with)
        .args([
            "-W",
            "ignore",
            "-c",
            AIOSMTPD,
            &port.to_string(),
            folder.0.to_str().unwrap(),
            kind,
        ])
        .spawn()
        .unwrap();
    listens(port);
    Some(MailServer {
        port,
        authority,
        folder,
        _process: Process(process),
    })
}

#[test]
fn each_response_of_a_mail_server_is_classified() {
    let Some(server) = aiosmtpd("aiosmtpd", "starttls") else {
        return;
    };
    let to = |name: &str| {
        let options = server.options(&[&format!("{name}@example.com")]);
        options.with_timeout(Duration::from_secs(2))
    };
    let receipt = send(&notifiers(&to("ada"))[0], &firing()).unwrap();
    assert_eq!(receipt.answer, "250 2.0.0 taken");

    let busy = failure(&to("busy"));
    assert_eq!(
        busy.text,
        "the recipient was refused: 451 4.7.1 come back later"
    );
    assert_eq!(
        (busy.class, busy.is_retryable),
        (FailureClass::ServerError, true)
    );

    let spam = failure(&to("spam"));
    assert_eq!(
        spam.text,
        "the mail was not taken: 554 5.7.1 looks like spam"
    );
    assert!(!spam.is_retryable && !spam.maybe_received);

    let slow = failure(&to("slow"));
    assert_eq!(slow.text, "the recipient was refused: no answer within 2s");
    assert_eq!(
        (slow.class, slow.maybe_received),
        (FailureClass::DeadlineExceeded, false)
    );

    let late = failure(&to("late"));
    assert_eq!(late.text, "the mail was not taken: no answer within 2s");
    assert!(late.is_retryable && late.maybe_received);

    let mut without = to("ada");
    (without.username, without.password) = (None, None);
    let error = failure(&without);
    assert_eq!(error.class, FailureClass::AuthError);
    assert_eq!(
        error.text,
        "the sender was refused: 530 5.7.0 Authentication required"
    );
}

#[test]
fn a_test_of_mail_reports_the_response_for_each_recipient() {
    let Some(server) = aiosmtpd("aiosmtpd-test", "starttls") else {
        return;
    };
    let channel = ChannelConfig::email(server.options(&["ada@example.com", "spam@example.com"]));
    let observatory = observatory("email", channel, ClientOptions::default());
    let expected = [
        "250 2.0.0 taken",
        "the mail was not taken: 554 5.7.1 looks like spam",
    ];
    assert_eq!(tested(&observatory, "email"), expected);
}

#[test]
fn implicit_tls_is_used_if_it_is_configured() {
    let Some(server) = aiosmtpd("aiosmtpd-implicit", "implicit") else {
        return;
    };
    let implicit = server
        .options(&["ada@example.com"])
        .with_encryption(Encryption::Implicit);
    send(&notifiers(&implicit)[0], &firing()).unwrap();
    let mut unknown = implicit;
    unknown.authorities.clear();
    let error = failure(&unknown);
    let expected = format!("TLS with localhost:{} failed: ", server.port);
    assert!(error.text.starts_with(&expected), "{error}");
    assert!(!error.is_retryable);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let options = |host: &str, port: u16| {
        let options = EmailOptions::new(host, "a@example.com", ["b@example.com"]);
        options.with_port(port)
    };
    let port = free_port();
    let error = failure(&options("localhost", port));
    let expected = format!("cannot connect to localhost:{port}: Connection refused");
    assert!(
        error.text.starts_with(&expected) && error.is_retryable,
        "{error}"
    );
    let error = failure(&options("no-such-host.invalid", 587));
    let expected = "cannot connect to no-such-host.invalid:587: failed to lookup address";
    assert!(
        error.text.starts_with(expected) && error.is_retryable,
        "{error}"
    );
}
