use super::{
    super::{
        content::tests::{START, hostile, reference, storm},
        template::Rendered,
    },
    *,
};
use crate::{alerting::MessageStatus, privacy::Secret};

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
        channel: compose::id_part("on call"),
        max_alerts: options.max_alerts,
        templates: Templates::new("ops", &SLOTS, &options.templates, &options.template_files)
            .unwrap(),
        server: Server {
            host: options.host.clone(),
            port: options.port,
            encryption: options.effective_encryption(),
            tls: None,
            hello: lettre::transport::smtp::extension::ClientId::Domain("example.com".to_owned()),
            login: None,
            hidden: Vec::new(),
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
    let mail = mail(&reference(MessageStatus::Firing), &options());
    let is = |name: &str, value: &str| assert_eq!(header(&mail, name).as_deref(), Some(value));
    is("Subject", "[FIRING:2] HighErrorRate (critical)");
    is("From", "\"LLM Router\" <alerts@example.com>");
    is("To", "ada@example.com, \"Grace H.\" <grace@example.org>");
    is(
        "Message-ID",
        "<ae71b06048e8ac1ba45f387c2f5262f5.1795462834028.on%20call@example.com>",
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
            &self::mail(&reference(MessageStatus::Resolved), &options()),
            "Importance"
        ),
        None
    );
}

#[test]
fn a_day_is_one_thread_and_only_retries_have_one_id() {
    const LATER: i64 = START + 3 * 86_400_000;
    let shared = shared(&options());
    let at = |ms: i64, status: MessageStatus| {
        let mut message = reference(status);
        message.created_at = ms;
        let write = |now: i64| {
            compose::mail(&message, &shared, &Rendered::default(), now).map(|mail| {
                let mail = String::from_utf8(mail).unwrap();
                ["Message-ID", "References", "Date"].map(|name| header(&mail, name).unwrap())
            })
        };
        assert_eq!(write(ms + 1).unwrap(), write(LATER).unwrap(), "a retry");
        let mail = compose::mail(&message, &shared, &Rendered::default(), LATER).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        (
            header(&mail, "References").unwrap(),
            header(&mail, "Message-ID").unwrap(),
        )
    };
    let (firing, resolved) = (
        at(START, MessageStatus::Firing),
        at(START + 1, MessageStatus::Resolved),
    );
    assert_eq!(firing.0, resolved.0);
    assert_ne!(firing.1, resolved.1);
    assert_ne!(firing.0, at(START + 86_400_000, MessageStatus::Firing).0);
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
    let html = html::html(&content, &Rendered::default());
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
    let link = "href=\"https://example.com/%22%3E%3Cscript%3E%7Cx\"";
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
    let mut message = reference(MessageStatus::Firing);
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
            "{{ .CommonLabels.component }}\r\nBcc: x@example.com",
        )
        .with_template("html", "<p>{{ .CommonAnnotations.summary }}</p>");
    let mail = mail(&reference(MessageStatus::Firing), &own);
    assert_eq!(
        header(&mail, "Subject").unwrap(),
        "router  Bcc: x@example.com"
    );
    assert!(mail.contains("<p>Error rate &gt; 5%</p>"), "{mail}");
    let mail = self::mail(
        &reference(MessageStatus::Firing),
        &options().with_template("html", "{{ .Nothing.At.All }}"),
    );
    assert_eq!(mail.matches("A template failed: ").count(), 2, "{mail}");
    let long = options().with_template(
        "html",
        r#"{{ $part := printf "%090000d" 0 }}"#.to_owned() + &"{{ $part }}".repeat(13),
    );
    let mail = self::mail(&reference(MessageStatus::Firing), &long);
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
    let late = options().with_timeout(Duration::MAX);
    check(late, "channel \"ops\": timeout: is ");
    let longest = options().with_timeout(Duration::from_secs(28));
    assert!(longest.build("ops").is_ok());
    check(
        options().with_timeout(Duration::from_millis(28_001)),
        "channel \"ops\": timeout: is 28.001s, but must be above 0s and at most 28s",
    );
    check(
        options().with_timeout(Duration::ZERO),
        "channel \"ops\": timeout: is 0ns, but must be",
    );
}

#[test]
fn a_password_that_a_server_repeats_is_not_shown_in_any_form_or_half() {
    let mut server = shared(&options()).server;
    server.hidden = smtp::hidden(&Some(("router".to_owned(), Secret::new("hunter2"))));
    // printf '\0router\0hunter2' | base64; printf hunter2 | base64
    for form in ["AHJvdXRlcgBodW50ZXIy", "aHVudGVyMg==", "hunter2"] {
        assert_eq!(server.shown(&format!("535 not {form}")), "535 not ***");
        for cut_at in 190..200 {
            let shown = server.shown(&format!("{}{form}", "x".repeat(cut_at)));
            assert!(
                shown.trim_start_matches('x').starts_with(['*', '…']),
                "{shown}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_comes_back_while_nothing_is_under_way() {
    let shared = Arc::new(shared(&options()));
    let _taken = shared.connections.acquire().await.unwrap();
    let email = Email {
        to: shared.to[0].email.clone(),
        shared: Arc::clone(&shared),
    };
    let start = tokio::time::Instant::now();
    let error = email
        .notify(&reference(MessageStatus::Firing))
        .await
        .unwrap_err();
    // With a delivery and a goodbye, an attempt is shorter than its 30 s.
    assert_eq!(start.elapsed(), Duration::from_secs(8));
    assert_eq!(error.text, "all connections to mail.example are in use");
    assert!(error.is_retryable && !error.maybe_received);
}

#[test]
fn a_list_of_recipients_may_have_commas_in_names_and_each_once() {
    let to = build::recipients("\"Doe, Jane\" <j@example.com>, ada@example.com");
    assert_eq!(to, ["\"Doe, Jane\" <j@example.com>", "ada@example.com"]);
    assert_eq!(
        build::recipients("a@example.com,, b@"),
        ["a@example.com", "b@"]
    );
    let twice = ["ada@example.com", "Ada <ada@example.com>", "j@example.com"];
    let options = EmailOptions::new("mail.example", "alerts@example.com", twice);
    assert_eq!(options.build("ops").unwrap().len(), 2);
}

#[test]
fn a_subject_holds_no_encoded_word_of_somebody_elses() {
    let mut message = reference(MessageStatus::Firing);
    let name = "=?utf-8?B?QWxsIGZpbmUg4oCuIFJFU09MVkVE?= ==??";
    message
        .common_labels
        .insert("alertname".to_owned(), name.to_owned());
    let subject = header(&mail(&message, &options()), "Subject").unwrap();
    assert!(!subject.contains("=?"), "{subject}");
    assert!(
        subject.starts_with("[FIRING:2] = ?utf-8?B?QWxs"),
        "{subject}"
    );
}

#[test]
fn html_of_a_template_is_cleaned_and_whole() {
    let source = "<pre>\n\tA</pre>{{ .CommonLabels.component }}";
    let options = options().with_template("html", source);
    let mut message = reference(MessageStatus::Firing);
    let hostile = format!("\u{202e}x\u{1}{}", "y".repeat(200_000));
    message
        .common_labels
        .insert("component".to_owned(), hostile);
    let content = super::super::content::Content::new(&message, 10);
    let rendered = shared(&options).templates.render(&message);
    let page = html::html(&content, &rendered);
    let start = "<pre>\n\tA</pre>\u{fffd}x\u{fffd}y";
    assert!(page.starts_with(start), "{}", &page[..50]);
    assert!(page.len() > 200_000, "it is not cut");
}

/// Writes the mail of the screenshot `docs/alert-email.png`: `ALERT_EMAIL_HTML=/tmp/mail.html cargo test --features email`.
#[test]
fn the_page_is_whole_and_without_pictures() {
    let mut message = reference(MessageStatus::Firing);
    for (name, url) in [
        ("runbook_url", "https://runbooks.example/high_error_rate"),
        ("trace_url", "https://traces.example/4bf92f3577b34da6"),
    ] {
        message
            .common_annotations
            .insert(name.to_owned(), url.to_owned());
    }
    let content = super::super::content::Content::new(&message, 20);
    let page = html::html(&content, &Rendered::default());
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("<img") && !page.contains("url("), "{page}");
    if let Ok(path) = std::env::var("ALERT_EMAIL_HTML") {
        std::fs::write(path, page).unwrap();
    }
}
