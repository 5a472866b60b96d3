//! One file of templates for Slack, expanded by a real Alertmanager and by this crate: the same title and text.

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse as _};
use llm_observatory::Secret;
use llm_observatory::alerting::{
    AlertmanagerPeer, Channel, Console, DispatchOptions, NotificationOptions, Receiver, Routing,
    SlackOptions, TemplateFiles,
};
use serde_json::{Value, json};

use crate::notify_support::{
    Alertmanager, Directory, Recorder, Running, alert, client, free_port, now_ms,
};

/// A file in the style of the files that users of Alertmanager share.
const FILE: &str = r#"
{{/* Titles: [FIRING:2] HighErrorRate on router */}}
{{ define "team.title" -}}
  [{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .CommonLabels.alertname }}
  {{- with .CommonLabels.component }} on {{ . }}{{ end }}
{{- end }}

{{ define "team.severity" }}{{ if eq . "critical" }}:fire:{{ else if eq . "warning" }}:warning:{{ else }}:ok:{{ end }}{{ end }}

{{ define "team.alert" -}}
{{- $labels := .Labels -}}
{{ template "team.severity" .Labels.severity }} *{{ .Labels.model_id | title }}* {{ .Annotations.summary }}
{{- range $name, $value := .Annotations }}{{ if ne $name "summary" }}
  _{{ $name }}_: {{ $value }}{{ end }}{{ end }}
{{- if match "^llama" $labels.model_id }}
  family {{ reReplaceAll "^(llama)-?(.*)$" "$1 ($2)" $labels.model_id }}
{{- end }}
  since {{ .StartsAt.Format "Mon, 02 Jan 2006 15:04 MST" }}{{ printf " %5s|%-6q|%03d" "a" "b" 7 }}
{{- end }}

{{ define "team.text" -}}
{{- if gt (len .Alerts.Firing) 0 -}}
*Firing*
{{ range .Alerts.Firing }}{{ template "team.alert" . }}
{{ end }}
{{- end -}}
{{- if gt (len .Alerts.Resolved) 0 }}
*Resolved*
{{ range $index, $alert := .Alerts.Resolved }}{{ if $index }}, {{ end }}{{ $alert.Labels.model_id }}{{ end }}
{{ end -}}
Labels: {{ range .CommonLabels.SortedPairs }}• {{ .Name }}=`{{ .Value }}` {{ end }}
{{- $rest := .CommonLabels.Remove (stringSlice "alertname" "severity") }}
Rest: {{ $rest.Names | join "/" }} = {{ join "/" $rest.Values }}
{{ block "team.footer" . }}Group {{ .GroupLabels.SortedPairs.Values | join " " }}, {{ .ExternalURL | reReplaceAll "^http://" "" }}{{ end }}
{{- end }}
"#;

/// Texts in which each side expands its own default templates.
const DEFAULTS: &[&str] = &[
    "__subject",
    "__description",
    "slack.default.title",
    "slack.default.callbackid",
    "slack.default.pretext",
    "slack.default.iconemoji",
    "slack.default.iconurl",
    "slack.default.text",
    "slack.default.footer",
    "pagerduty.default.description",
    "opsgenie.default.message",
    "opsgenie.default.description",
    "victorops.default.state_message",
    "victorops.default.entity_display_name",
    "pushover.default.title",
    "pushover.default.message",
    "sns.default.subject",
    "sns.default.message",
    "telegram.default.message",
    "discord.default.title",
    "discord.default.message",
    "webex.default.message",
    "email.default.subject",
];

/// Default templates that differ, each with the reason.
const DIFFERENT: &[&str] = &[
    "__alertmanager",                    // This process is no Alertmanager.
    "__alertmanagerURL",                 // Alertmanager's page of alerts does not exist here.
    "slack.default.fallback",            // It has that URL.
    "slack.default.titlelink",           // It is that URL.
    "slack.default.username",            // It is that name.
    "pagerduty.default.client",          // It is that name.
    "pagerduty.default.clientURL",       // It is that URL.
    "opsgenie.default.source",           // It is that URL.
    "victorops.default.monitoring_tool", // It is that name.
    "pushover.default.url",              // It is that URL.
    "wechat.default.message",            // It has that URL.
];

/// The first line of the text with the default templates.
const START: &str = "START\n";

/// The texts of a message beside `team.title` and `team.text`.
fn defaults() -> String {
    let all = DEFAULTS.iter().chain(DIFFERENT);
    let texts = all.map(|name| format!("{name}: <{{{{ template {name:?} . }}}}>\n"));
    let lists = ["__text_alert_list", "pagerduty.default.instances"]
        .map(|name| format!("{name}: <{{{{ template {name:?} .Alerts }}}}>\n"));
    START.to_owned() + &texts.chain(lists).collect::<String>()
}

/// The texts by the names of the templates.
fn by_name(text: &str) -> Vec<(String, String)> {
    let texts = text.split(">\n").filter(|text| text.contains(": <"));
    let pairs = texts.filter_map(|text| text.split_once(": <"));
    let trimmed = |text: &str| text.trim().to_owned();
    pairs
        .map(|(name, text)| {
            (
                name.trim().trim_start_matches(START).to_owned(),
                trimmed(text.trim_end_matches('>')),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_file_of_templates_gives_the_text_that_alertmanager_makes_of_it() {
    let recorder =
        Recorder::answering(Arc::new(|_, _| (StatusCode::OK, "ok").into_response())).await;
    let directory = Directory::new("templates");
    fs::write(directory.path().join("team.tmpl"), FILE).unwrap();
    let pattern = directory.path().join("*.tmpl");

    let slack = |channel: &str, title: &str, text: &str| {
        json!({
            "api_url": format!("{}/theirs/{channel}", recorder.url), "channel": "#alerts",
            "title": title, "text": text, "send_resolved": true,
        })
    };
    let (title, text) = (
        r#"{{ template "team.title" . }}"#,
        r#"{{ template "team.text" . }}"#,
    );
    let default_title = r#"{{ template "slack.default.title" . }}"#;
    let mut own = slack("default", "", "");
    own.as_object_mut()
        .unwrap()
        .retain(|key, _| !matches!(key.as_str(), "title" | "text"));
    let theirs = json!({
        "route": { "receiver": "team", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s" },
        "receivers": [{ "name": "team", "slack_configs": [
            slack("team", title, text), own, slack("names", "names", &defaults()),
        ] }],
        "templates": [pattern],
    });
    let Some(alertmanager) = Alertmanager::start(
        &theirs.to_string(),
        free_port(),
        &["--cluster.listen-address=".to_owned()],
    )
    .await
    else {
        return;
    };

    let files = TemplateFiles::load([&pattern]).unwrap();
    let channel = |name: &'static str, title: &str, text: &str| {
        let options = SlackOptions::new(format!("{}/ours/{name}", recorder.url))
            .with_min_interval(Duration::ZERO)
            .with_template_files(files.clone())
            .with_template("title", title)
            .with_template("text", text);
        (
            name,
            Channel::from_notifiers(options.build(name, &client()).unwrap()),
        )
    };
    // The console takes longer texts than Slack.
    let console = Lines::default();
    let channels = vec![
        channel("team", title, text),
        channel(
            "default",
            default_title,
            r#"{{ template "slack.default.text" . }}"#,
        ),
        (
            "names",
            Channel::new(
                Console::writer(console.clone())
                    .with_template(defaults())
                    .unwrap(),
            ),
        ),
    ];
    let routing = r"
route: { receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 1s }
receivers: [{ name: team, channels: [team, default, names] }]
";
    let routing: Routing = serde_saphyr::from_str(routing).unwrap();
    let dispatch = DispatchOptions::default()
        .without_damping()
        .with_external_url("http://observatory.example");
    let running = Running::start(
        NotificationOptions::new(routing).with_dispatch(dispatch),
        channels,
    );
    let peer = Running::with_peers(
        NotificationOptions::new(Routing::to_receiver(Receiver::new(
            "none",
            Vec::<String>::new(),
        ))),
        Vec::new(),
        vec![
            AlertmanagerPeer::new("am", &Secret::new(alertmanager.url.as_str()), client()).unwrap(),
        ],
    );

    let starts_at = now_ms();
    let mut alerts = ["gpt-3.5-turbo", "llama-7b"].map(|model| {
        let labels = [
            ("alertname", "HighErrorRate"),
            ("component", "router"),
            ("model_id", model),
            ("severity", "critical"),
        ];
        let mut alert = alert(&labels, starts_at, true);
        let description = format!("Error rate of {model} is 12.3 % over 5m");
        alert
            .annotations
            .insert("description".to_owned(), description);
        alert
    });
    peer.notifications.put(alerts.to_vec());
    running.notifications.put(alerts.to_vec());
    let count = |received: &[crate::notify_support::Received], side: &str| {
        let start = format!("/{side}/");
        received
            .iter()
            .filter(|request| request.path.starts_with(&start))
            .count()
    };
    recorder
        .until("the first messages", |received| {
            count(received, "ours") >= 2 && count(received, "theirs") >= 3
        })
        .await;
    alerts[1].ends_at = now_ms();
    peer.notifications.put(alerts.to_vec());
    running.notifications.put(alerts.to_vec());
    recorder
        .until("the second messages", |received| {
            count(received, "ours") >= 4 && count(received, "theirs") >= 6
        })
        .await;
    running.stop().await;
    peer.stop().await;

    for round in 0..2 {
        let of = |side: &str, channel: &str| {
            let request = recorder
                .at(&format!("/{side}/{channel}"))
                .swap_remove(round);
            request.body["attachments"][0].clone()
        };
        let (ours, theirs) = (of("ours", "team"), of("theirs", "team"));
        eprintln!("{}\n{}", theirs["title"], theirs["text"]);
        assert_eq!(
            (&ours["title"], &ours["text"]),
            (&theirs["title"], &theirs["text"])
        );
        let (ours, theirs) = (of("ours", "default"), of("theirs", "default"));
        assert_eq!(
            (trimmed(&ours["title"]), trimmed(&ours["text"])),
            (trimmed(&theirs["title"]), trimmed(&theirs["text"]))
        );
        let ours = by_name(&console.message(round));
        let theirs = by_name(of("theirs", "names")["text"].as_str().unwrap());
        assert_eq!(ours.len(), DEFAULTS.len() + DIFFERENT.len() + 2);
        let differing = ours
            .iter()
            .zip(&theirs)
            .filter(|(ours, theirs)| ours != theirs);
        let differing: Vec<&str> = differing.map(|(ours, _)| ours.0.as_str()).collect();
        assert_eq!(differing, DIFFERENT, "{ours:#?}\n{theirs:#?}");
    }
}

/// The output of the console.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The text of a message, without the marker at its start.
    fn message(&self, number: usize) -> String {
        let lines = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        lines.split(START).nth(number + 1).unwrap().to_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn trimmed(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}
