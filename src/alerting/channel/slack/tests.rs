use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::content::tests::{hostile, reference, storm},
    *,
};
use crate::{
    ClientOptions,
    alerting::{MessageStatus, Reason},
    privacy::Secret,
};

const URL: &str = "https://hooks.slack.com/services/T0/B0/token";

fn body(message: &Message, options: &SlackOptions) -> Value {
    let templates =
        Templates::new("ops", &SLOTS, &options.templates, &options.template_files).unwrap();
    let body = compose::body(message, options, &templates.render(message));
    serde_json::to_value(body).unwrap()
}

fn theirs(name: &str) -> Value {
    let text = match name {
        "firing" => include_str!("../../../../tests/payloads/slack_firing.json"),
        _ => include_str!("../../../../tests/payloads/slack_resolved.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// The paths at which two bodies differ.
fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let (ours, theirs) = (&ours["attachments"][0], &theirs["attachments"][0]);
    let names = ours.as_object().unwrap().keys();
    let mut names: Vec<&String> = names.chain(theirs.as_object().unwrap().keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names
        .into_iter()
        .filter(|name| ours[*name] != theirs[*name]);
    differing.cloned().collect()
}

#[test]
fn a_message_differs_from_alertmanagers_only_where_it_says_more() {
    for (status, name, colour) in [
        (MessageStatus::Firing, "firing", "#ff0000"),
        (MessageStatus::Resolved, "resolved", "#36a64f"),
    ] {
        let ours = body(&reference(status), &SlackOptions::new(URL));
        let theirs = theirs(name);
        assert_eq!(
            (&ours["channel"], &ours["username"]),
            (&theirs["channel"], &theirs["username"])
        );
        let expected = [
            "callback_id", // Theirs is empty, and only an app with buttons has a use for it.
            "color",       // Theirs names a colour of Slack's, ours is the seed's for the severity.
            "fallback", // Theirs appends the link, which a notification on a phone does not open.
            "fields",   // Theirs has none unless they are configured.
            "footer",   // Theirs is empty; a footer is what makes Slack show the time.
            "mrkdwn_in", // Ours has no pretext, and a fallback is plain text.
            "text",     // Theirs is empty unless a template is written.
            "title",    // Theirs lists the values of the group's labels; ours has them as fields.
            "title_link", // Theirs is a page of Alertmanager's; ours the dashboard.
            "ts",       // Theirs has none: a message that comes late looks new.
        ];
        assert_eq!(differences(&ours, &theirs), expected);
        let attachment = &ours["attachments"][0];
        assert_eq!(attachment["color"], colour);
        assert_eq!(
            attachment["fields"],
            json!([
                {"title": "severity", "value": "critical", "short": true},
                {"title": "component", "value": "router", "short": true},
            ])
        );
    }
    let firing = body(&reference(MessageStatus::Firing), &SlackOptions::new(URL));
    assert_eq!(
        firing["attachments"][0]["title"],
        "[FIRING:2] HighErrorRate (critical)"
    );
    assert_eq!(
        firing["attachments"][0]["text"],
        "Error rate &gt; 5%\n\
         • firing since 2026-11-23 19:40:34 UTC — model_id=gpt-3.5-turbo — Error rate is 12.3% over 5m\n\
         • firing since 2026-11-23 19:40:34 UTC — model_id=llama-7b — Error rate is 7.0% over 5m\n\
         <http://alertmanager.example:9093|Dashboard> · <http://127.0.0.1:9090/alerts/high_error_rate|Query>"
    );
    let resolved = body(&reference(MessageStatus::Resolved), &SlackOptions::new(URL));
    assert_eq!(
        resolved["attachments"][0]["title"],
        "[RESOLVED] HighErrorRate (critical)"
    );
    assert_eq!(resolved["attachments"][0]["ts"], 1_795_462_884);
}

#[test]
fn a_hostile_alert_is_escaped_and_short() {
    let body = body(&hostile(), &SlackOptions::new(URL));
    let attachment = &body["attachments"][0];
    let text = attachment["text"].as_str().unwrap();
    assert!(text.chars().count() <= 3_000);
    assert!(serde_json::to_string(&body).unwrap().len() < 20_000);
    assert!(!text.contains("<img") && text.contains("&lt;img"), "{text}");
    assert!(
        text.ends_with("<https://example.com/%22%3E%3Cscript%3E%7Cx|Dashboard>"),
        "{text}"
    );
    let fields = attachment["fields"].to_string();
    assert!(
        fields.contains("&lt;!channel&gt; &amp; &lt;script&gt;"),
        "{fields}"
    );
    assert!(!fields.contains("<!channel>"), "{fields}");
    let title = attachment["title"].as_str().unwrap();
    assert_eq!(
        title,
        "[FIRING:1] Evil  Bcc: everyone@example.com (critical)"
    );
}

#[test]
fn foreign_text_is_not_formatted_and_names_stay_whole() {
    let mut message = reference(MessageStatus::Firing);
    let text = "*bold* llama_7b `code`\n> quote";
    message
        .common_annotations
        .insert("description".to_owned(), text.to_owned());
    let body = body(&message, &SlackOptions::new(URL));
    let text = body["attachments"][0]["text"].as_str().unwrap();
    let expected = "\u{200b}*bold\u{200b}* llama_7b \u{200b}`code\u{200b}`\n\u{200b}&gt; quote\n";
    assert!(text.contains(expected), "{text:?}");
}

#[test]
fn what_has_no_room_is_counted_and_the_links_stay() {
    let mut message = storm(50);
    message.external_url = "https://observatory.example".to_owned();
    let body = body(&message, &SlackOptions::new(URL).with_max_alerts(40));
    let text = body["attachments"][0]["text"].as_str().unwrap();
    assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
    let shown = text.lines().filter(|line| line.starts_with('•')).count();
    assert!(
        text.contains(&format!("\nand {} more\n<https://", 50 - shown)),
        "{text}"
    );
}

/// A message whose parts are all as long as they can be.
fn long() -> Message {
    let mut message = storm(10);
    for (name, text) in [
        ("summary", "&".repeat(5_000)),
        ("description", "<*>\n".repeat(5_000)),
        ("runbook_url", format!("https://a/{}", "r".repeat(1_900))),
        ("trace_url", format!("https://a/{}", "&".repeat(1_900))),
        ("profile_url", "https://a/short".to_owned()),
    ] {
        message.common_annotations.insert(name.to_owned(), text);
    }
    message
}

#[test]
fn a_long_text_takes_no_other_part_with_it() {
    let message = long();
    let body = body(&message, &SlackOptions::new(URL));
    let text = body["attachments"][0]["text"].as_str().unwrap();
    assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
    let mut lines = text.lines();
    let summary = lines.next().unwrap();
    assert!(
        summary.ends_with("&amp;…") && summary.len() > 700,
        "{summary}"
    );
    assert!(lines.next().unwrap().starts_with("&lt;"), "{text}");
    let shown = text.lines().filter(|line| line.starts_with('•')).count();
    assert!(shown >= 3, "{text}");
    let more = format!("and {} more", 10 - shown);
    assert!(text.lines().any(|line| line == more), "{text}");
}

#[test]
fn a_link_is_whole_or_not_there_and_all_of_them_leave_room_for_the_text() {
    let mut message = long();
    message.common_annotations.insert(
        "runbook_url".to_owned(),
        format!("https://a/{}", "r".repeat(1_000)),
    );
    let body = body(&message, &SlackOptions::new(URL));
    let text = body["attachments"][0]["text"].as_str().unwrap();
    let links = text.lines().last().unwrap();
    // The trace's is too long, escaped.
    let end = "r|Runbook> · <https://a/short|Profile>";
    assert!(links.ends_with(end) && links.len() < 1_500, "{links}");
    assert!(text.lines().next().unwrap().starts_with("&amp;"), "{text}");
}

#[test]
fn no_foreign_text_is_a_mention_or_a_link_wherever_it_stands() {
    let evil = "<!channel> <https://evil.example|ok>";
    let mut message = reference(MessageStatus::Firing);
    message
        .common_labels
        .insert("alertname".to_owned(), evil.to_owned());
    let failing = format!("{{{{ index .Alerts \"{evil}\" }}}}");
    let options = SlackOptions::new(URL)
        .with_template("fallback", "{{ .CommonLabels.alertname }}")
        .with_template("text", failing);
    let body = body(&message, &options);
    let escaped = "&lt;!channel&gt; &lt;https://evil.example|ok&gt;";
    let attachment = &body["attachments"][0];
    for name in ["title", "fallback", "footer"] {
        let text = attachment[name].as_str().unwrap();
        assert!(!text.contains('<') && !text.contains('>'), "{name}: {text}");
    }
    assert_eq!(attachment["fallback"], escaped);
    assert!(attachment["title"].as_str().unwrap().contains(escaped));
    let by_default = self::body(&message, &SlackOptions::new(URL).with_username(evil));
    assert_eq!(by_default["attachments"][0]["footer"], escaped);
    let fallback = by_default["attachments"][0]["fallback"].as_str().unwrap();
    assert!(fallback.contains(escaped), "{fallback}");
}

#[test]
fn a_cut_leaves_no_half_link_of_a_template() {
    let long = "x".repeat(2_980);
    let text = |source: String| {
        let options = SlackOptions::new(URL).with_template("text", source);
        let body = body(&reference(MessageStatus::Firing), &options);
        body["attachments"][0]["text"].as_str().unwrap().to_owned()
    };
    let half = text(format!("{long}<https://example.com/runbooks|Runbook>"));
    assert_eq!(half, format!("{long}…"));
    let whole = text(format!("<https://a|a>{long}{long}"));
    assert!(whole.starts_with("<https://a|a>xxx") && whole.chars().count() == 3_000);
    let sign = text(format!("load < 5 {long}{long}"));
    assert_eq!(sign.chars().count(), 3_000);
    assert_eq!(text(String::new()), "");
}

#[test]
fn a_title_that_a_template_leaves_empty_is_the_channels_own() {
    let options = SlackOptions::new(URL)
        .with_template("title", " ")
        .with_template("fallback", "");
    let body = body(&reference(MessageStatus::Firing), &options);
    let attachment = &body["attachments"][0];
    for name in ["title", "fallback"] {
        assert_eq!(attachment[name], "[FIRING:2] HighErrorRate (critical)");
    }
    let footer = attachment["footer"].as_str().unwrap();
    assert!(footer.ends_with(" gave an empty text"), "{footer}");
}

#[tokio::test(start_paused = true)]
async fn channels_on_one_webhook_share_its_pace() {
    let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
    let made = |name: &str, interval: u64| {
        let options = SlackOptions::new(URL).with_min_interval(Duration::from_secs(interval));
        let built = options.build(name, &client.clone()).unwrap();
        (built, client.pace(&Secret::new(URL), Duration::ZERO))
    };
    let ((first, pace), (_, other)) = (made("ops", 1), made("all", 3));
    assert!(Arc::ptr_eq(&pace, &other));
    // Two turns of 3 s each are taken: the next one is too far off to wait for.
    pace.wait().await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(1), pace.wait()).await;
    let error = first[0]
        .notify(&reference(MessageStatus::Firing))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.is_retryable, error.maybe_received),
        (FailureClass::RateLimited, true, false)
    );
    assert!(
        error
            .retry_after
            .is_some_and(|wait| wait > Duration::from_secs(5))
    );
}

#[test]
fn a_title_of_entities_is_as_short_as_any_other() {
    let mut message = reference(MessageStatus::Firing);
    message
        .common_labels
        .insert("alertname".to_owned(), "&".repeat(1 << 20));
    let body = body(&message, &SlackOptions::new(URL));
    let title = body["attachments"][0]["title"].as_str().unwrap();
    assert!(title.chars().count() <= 1_024 && title.chars().count() > 1_000);
    assert!(title.ends_with("&amp;…"), "{title}");
}

#[test]
fn a_template_replaces_a_text_and_its_failure_is_noted() {
    let options = SlackOptions::new(URL)
        .with_template("title", "{{ .CommonLabels.component }} <x>")
        .with_template("text", "{{ .Nothing.At.All }}");
    let body = body(&reference(MessageStatus::Firing), &options);
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["title"], "router <x>");
    assert!(
        attachment["text"]
            .as_str()
            .unwrap()
            .starts_with("Error rate &gt; 5%")
    );
    let footer = attachment["footer"].as_str().unwrap();
    assert!(footer.starts_with("A template failed: "), "{footer}");
}

#[test]
fn an_acknowledgement_says_who() {
    let mut message = reference(MessageStatus::Firing);
    message.reason = Reason::Acknowledged {
        by: "Ada".to_owned(),
        comment: "on it".to_owned(),
    };
    let body = body(&message, &SlackOptions::new(URL));
    let text = body["attachments"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Acknowledged by Ada: on it\n"), "{text}");
}

#[test]
fn only_ok_is_a_success() {
    let answer = |status: u16, line: &str| {
        check_answer(&Answer {
            status: status.try_into().unwrap(),
            retry_after: None,
            first_line: line.to_owned(),
        })
    };
    assert_eq!(answer(200, "ok").unwrap().answer, "200 OK: ok");
    let error = answer(200, "<html>Please log in").unwrap_err();
    assert_eq!(error.class, FailureClass::ClientError);
    assert!(!error.is_retryable);
    assert_eq!(
        error.text,
        "200 OK: <html>Please log in, but Slack answers `ok`"
    );
    assert!(answer(200, "").is_err());
    assert!(answer(500, "ok").unwrap_err().is_retryable);
    assert_eq!(
        answer(404, "no_service").unwrap_err().text,
        "404 Not Found: no_service"
    );
}

#[test]
fn what_is_wrong_is_named_and_the_url_is_not_shown() {
    let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
    let check = |options: SlackOptions, expected: &str| {
        let error = options.build("ops", &client).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("token"), "{error}");
    };
    check(
        SlackOptions::default(),
        "channel \"ops\": url: must not be empty",
    );
    check(
        SlackOptions::new("ftp://a/token"),
        "channel \"ops\": url: must begin",
    );
    check(
        SlackOptions::new(URL).with_min_interval(Duration::MAX),
        "channel \"ops\": min_interval: is ",
    );
    check(
        SlackOptions::new(URL).with_min_interval(Duration::from_millis(10_001)),
        "channel \"ops\": min_interval: is 10.001s, but must be at most 10s",
    );
    check(
        SlackOptions::new(URL).with_icon("fire"),
        "channel \"ops\": icon: is \"fire\", but must be an emoji",
    );
    check(
        SlackOptions::new(URL).with_template("txt", ""),
        "channel \"ops\": templates: \"txt\" is none of",
    );
    let built = SlackOptions::new(URL).build("ops", &client).unwrap();
    assert!(!format!("{built:?}").contains("token"));
}

#[test]
fn the_icon_is_an_emoji_or_a_picture() {
    let icon = |icon: &str| {
        body(
            &reference(MessageStatus::Firing),
            &SlackOptions::new(URL).with_icon(icon),
        )
    };
    assert_eq!(icon(":fire:")["icon_emoji"], ":fire:");
    assert_eq!(icon("https://a/b.png")["icon_url"], "https://a/b.png");
    let own = SlackOptions::new(URL).with_channel("").with_username("");
    let own = body(&reference(MessageStatus::Firing), &own);
    assert_eq!(
        (own.get("channel"), own.get("username"), own.get("icon_url")),
        (None, None, None)
    );
}
