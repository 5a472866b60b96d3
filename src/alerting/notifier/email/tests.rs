use super::{
    super::{
        Secret,
        content::tests::{START, hostile, reference, storm},
        template::Rendered,
    },
    *,
};
use crate::alerting::Status;

fn options() -> EmailOptions {
    EmailOptions::new(
        "mail.example",
        "LLM Router <alerts@example.com>",
        ["ada@example.com", "Grace H. <grace@example.org>"],
    )
}

fn shared(options: &EmailOptions) -> Shared {
    let mailbox = |text: &String| text.parse().unwrap();
    Shared {
        from: mailbox(&options.from),
        to: options.to.iter().map(mailbox).collect(),
        max_alerts: options.max_alerts,
        templates: Templates::new("ops", &SLOTS, &options.templates).unwrap(),
        server: Server {
            host: options.host.clone(),
            port: options.port,
            encryption: options.effective_encryption(),
            tls: None,
            hello: lettre::transport::smtp::extension::ClientId::Domain("example.com".to_owned()),
            login: None,
            timeout: options.timeout,
        },
        connections: Semaphore::new(1),
    }
}

fn mail(message: &Message, options: &EmailOptions) -> String {
    let shared = shared(options);
    let rendered = shared.templates.render(message);
    let mail = compose::mail(message, &shared, &rendered, START).unwrap();
    String::from_utf8(mail).unwrap()
}

/// The headers, unfolded.
fn headers(mail: &str) -> Vec<String> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    head.split("\r\n").map(str::to_owned).collect()
}

fn header(mail: &str, name: &str) -> Option<String> {
    let start = format!("{name}: ");
    let found = headers(mail);
    found
        .iter()
        .find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

#[test]
fn a_mail_has_a_subject_a_thread_and_two_forms() {
    let mail = mail(&reference(Status::Firing), &options());
    let is = |name: &str, value: &str| assert_eq!(header(&mail, name).as_deref(), Some(value));
    is("Subject", "[FIRING:2] HighErrorRate (critical)");
    is("From", "\"LLM Router\" <alerts@example.com>");
    is("To", "ada@example.com, \"Grace H.\" <grace@example.org>");
    is(
        "Message-ID",
        "<ae71b06048e8ac1ba45f387c2f5262f5.1795462834028@example.com>",
    );
    is(
        "References",
        "<ae71b06048e8ac1ba45f387c2f5262f5.2026-11-23@example.com>",
    );
    is(
        "In-Reply-To",
        "<ae71b06048e8ac1ba45f387c2f5262f5.2026-11-23@example.com>",
    );
    is("Date", "Mon, 23 Nov 2026 19:40:34 +0000");
    is("Auto-Submitted", "auto-generated");
    is("Importance", "high");
    let plain = mail
        .find("Content-Type: text/plain; charset=utf-8")
        .unwrap();
    let rich = mail.find("Content-Type: text/html; charset=utf-8").unwrap();
    assert!(mail.contains("multipart/alternative") && plain < rich);
    assert_eq!(
        header(
            &self::mail(&reference(Status::Resolved), &options()),
            "Importance"
        ),
        None
    );
}

#[test]
fn a_day_is_one_thread_and_no_two_mails_have_one_id() {
    let shared = shared(&options());
    let at = |ms: i64, status: Status| {
        let mail = compose::mail(&reference(status), &shared, &Rendered::default(), ms).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        (
            header(&mail, "References").unwrap(),
            header(&mail, "Message-ID").unwrap(),
        )
    };
    let (firing, resolved) = (at(START, Status::Firing), at(START + 1, Status::Resolved));
    assert_eq!(firing.0, resolved.0);
    assert_ne!(firing.1, resolved.1);
    assert_ne!(firing.0, at(START + 86_400_000, Status::Firing).0);
}

#[test]
fn no_alert_can_write_a_header_or_a_tag() {
    let message = hostile();
    let mail = mail(&message, &options());
    let names: Vec<String> = headers(&mail)
        .iter()
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.eq_ignore_ascii_case("bcc")),
        "{names:?}"
    );
    let subject = header(&mail, "Subject").unwrap();
    assert_eq!(
        subject,
        "[FIRING:1] Evil  Bcc: everyone@example.com (critical)"
    );
    assert!(mail.len() < 40_000, "{}", mail.len());
    assert!(
        mail.lines()
            .all(|line| line.len() <= 998 && line.is_ascii() && line != ".")
    );
    let content = super::super::content::Content::new(&message, 10);
    let html = html::of(&content, &Rendered::default());
    for tag in [
        "<script",
        "<img",
        "onerror=alert(1)>",
        "javascript:",
        "\u{202e}",
    ] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("שלום"));
    let link = "href=\"https:&#x2f;&#x2f;example.com&#x2f;%22%3E%3Cscript%3E%7Cx\"";
    assert!(html.contains(link), "{html}");
}

#[test]
fn a_storm_of_alerts_is_a_mail_that_gmail_shows_whole() {
    let mail = mail(&storm(500), &options());
    assert!(mail.len() < 102 * 1_024, "{}", mail.len());
    assert!(mail.contains("and 490 more"));
}

#[test]
fn a_subject_of_any_length_and_script_is_encoded() {
    let mut message = reference(Status::Firing);
    let name = format!("שלום\r\n{}", "ü".repeat(1 << 20));
    message.common_labels.insert("alertname".to_owned(), name);
    let mail = mail(&message, &options());
    let subject = header(&mail, "Subject").unwrap();
    assert!(
        subject.contains("=?utf-8?b?") && subject.len() < 1_200,
        "{subject}"
    );
    assert!(headers(&mail).iter().all(|line| line.is_ascii()));
}

#[test]
fn templates_replace_texts_and_their_failure_is_noted() {
    let own = options()
        .with_template(
            "subject",
            "{{ common_labels.component }}\r\nBcc: x@example.com",
        )
        .with_template("html", "<p>{{ common_annotations.summary }}</p>");
    let mail = mail(&reference(Status::Firing), &own);
    assert_eq!(
        header(&mail, "Subject").unwrap(),
        "router  Bcc: x@example.com"
    );
    assert!(mail.contains("<p>Error rate &gt; 5%</p>"), "{mail}");
    let mail = self::mail(
        &reference(Status::Firing),
        &options().with_template("html", "{{ a.b.c }}"),
    );
    assert_eq!(mail.matches("A template failed: ").count(), 2, "{mail}");
    let long = options().with_template(
        "html",
        "{% for n in range(90000) %}{{ '1234567890123' }}{% endfor %}",
    );
    let mail = self::mail(&reference(Status::Firing), &long);
    assert!(mail.len() < 20_000, "{}", mail.len());
}

#[test]
fn the_port_decides_how_the_connection_is_protected() {
    let at = |port: u16| options().with_port(port).effective_encryption();
    assert_eq!(options().port, 587);
    assert_eq!(
        [at(465), at(587), at(25)],
        [
            Encryption::Implicit,
            Encryption::StartTls,
            Encryption::StartTls
        ]
    );
    let own = options()
        .with_port(465)
        .with_encryption(Encryption::StartTls);
    assert_eq!(own.effective_encryption(), Encryption::StartTls);
}

#[test]
fn what_is_wrong_is_named_and_the_password_is_not_shown() {
    let check = |options: EmailOptions, expected: &str| {
        let error = options.build("ops").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(
        EmailOptions::default(),
        "channel \"ops\": host: is \"\", but must be the name",
    );
    check(
        EmailOptions::new("m", "me", ["a@b.example"]),
        "channel \"ops\": from: is \"me\", but must be an address",
    );
    check(
        EmailOptions::new("m", "a@b.example", [""; 0]),
        "channel \"ops\": to: must name a recipient",
    );
    check(
        EmailOptions::new("m", "a@b.example", ["ü@b.example"]),
        "channel \"ops\": to: is \"ü@b.example\", but must be ASCII",
    );
    check(
        EmailOptions::new("m", "a@b.example\r\nBcc: c@d.example", ["a@b.example"]),
        "channel \"ops\": from: is",
    );
    check(
        options()
            .with_encryption(Encryption::None)
            .with_login("me", "hunter2"),
        "channel \"ops\": encryption: is `none`, but must be `starttls` or `implicit`",
    );
    check(
        options().with_authority(vec![1, 2, 3]),
        "channel \"ops\": authorities: ",
    );
    check(
        options().with_hello_name("a b"),
        "channel \"ops\": hello_name: is \"a b\"",
    );
    let mut without = options();
    without.username = Some("me".to_owned());
    check(without, "channel \"ops\": password: must be set");
    let built = options().with_login("me", "hunter2").build("ops").unwrap();
    assert_eq!(built.len(), 2);
    assert!(!format!("{built:?} {:?}", options().with_login("me", "hunter2")).contains("hunter2"));
    let mut server = shared(&options()).server;
    server.login = Some(("me".to_owned(), Secret::new("hunter2")));
    let error = NotifyError::new(FailureClass::AuthError, "535 not hunter2");
    assert_eq!(server.redacted(error).text, "535 not ***");
}

/// What the screenshot in `docs/alert-email.png` shows: `ALERT_EMAIL_HTML=/tmp/mail.html cargo test --features email`.
#[test]
fn the_page_is_whole_and_without_pictures() {
    let mut message = reference(Status::Firing);
    for (name, url) in [
        ("runbook_url", "https://runbooks.example/high_error_rate"),
        ("trace_url", "https://traces.example/4bf92f3577b34da6"),
    ] {
        message
            .common_annotations
            .insert(name.to_owned(), url.to_owned());
    }
    let content = super::super::content::Content::new(&message, 20);
    let page = html::of(&content, &Rendered::default());
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("<img") && !page.contains("url("), "{page}");
    if let Ok(path) = std::env::var("ALERT_EMAIL_HTML") {
        std::fs::write(path, page).unwrap();
    }
}
