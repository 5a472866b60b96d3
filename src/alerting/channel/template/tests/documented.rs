//! Compares the default templates, files of templates and the data with `docs/alert-templates.md` and Alertmanager.

use super::*;

/// The names in Alertmanager 0.25's `default.tmpl` and `email.tmpl`, and two newer groups.
const NAMES: &[&str] = &[
    "__alertmanager",
    "__alertmanagerURL",
    "__subject",
    "__description",
    "__text_alert_list",
    "__text_alert_list_markdown",
    "slack.default.title",
    "slack.default.username",
    "slack.default.fallback",
    "slack.default.callbackid",
    "slack.default.pretext",
    "slack.default.titlelink",
    "slack.default.iconemoji",
    "slack.default.iconurl",
    "slack.default.text",
    "slack.default.footer",
    "pagerduty.default.description",
    "pagerduty.default.client",
    "pagerduty.default.clientURL",
    "pagerduty.default.instances",
    "opsgenie.default.message",
    "opsgenie.default.description",
    "opsgenie.default.source",
    "wechat.default.message",
    "wechat.default.to_user",
    "wechat.default.to_party",
    "wechat.default.to_tag",
    "wechat.default.agent_id",
    "victorops.default.state_message",
    "victorops.default.entity_display_name",
    "victorops.default.monitoring_tool",
    "pushover.default.title",
    "pushover.default.message",
    "pushover.default.url",
    "sns.default.subject",
    "sns.default.message",
    "telegram.default.message",
    "discord.default.title",
    "discord.default.message",
    "webex.default.message",
    "msteams.default.summary",
    "msteams.default.title",
    "msteams.default.text",
    "email.default.subject",
    "email.default.html",
];

#[test]
fn the_default_templates_have_alertmanagers_names_and_expand() {
    let names: Vec<&str> = files::defaults().names().collect();
    for name in NAMES {
        assert!(names.contains(name), "{name}");
        let dot = match *name {
            "__text_alert_list" | "__text_alert_list_markdown" => ".Alerts",
            "pagerduty.default.instances" => ".Alerts.Firing",
            _ => ".",
        };
        let source = format!("{{{{ template {name:?} {dot} }}}}");
        for status in [MessageStatus::Firing, MessageStatus::Resolved] {
            let message = reference(status);
            let none = TemplateFiles::none();
            expand_with(&message, &none, Escape::Plain, &source).unwrap();
        }
    }
    // Alertmanager 0.25's texts.
    check(
        "{{ template \"slack.default.title\" . }}",
        "[FIRING:2] HighErrorRate router (critical)",
    );
    let list = "Labels:\n - alertname = HighErrorRate\n - component = router\n - model_id = llama-7b\n \
                - severity = critical\nAnnotations:\n - description = Error rate is 7.0% over 5m\n \
                - summary = Error rate > 5%\nSource: http://127.0.0.1:9090/alerts/high_error_rate\n";
    check(
        "{{ template \"__text_alert_list\" (slice .Alerts 1 2) }}",
        list,
    );
    let both = expand("{{ template \"pushover.default.message\" . }}").unwrap();
    assert!(
        both.starts_with("Error rate > 5%\n\nAlerts Firing:\nLabels:\n"),
        "{both:?}"
    );
    assert!(both.ends_with("high_error_rate\n\n\n\n"), "{both:?}");
}

fn directory(name: &str) -> std::path::PathBuf {
    let name = format!("observatory-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn files_define_templates_for_every_channel() {
    let directory = directory("template-files");
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write(
        "a.tmpl",
        "{{ define \"mine\" }}a{{ end }}{{ define \"__subject\" }}S<{{ .Status }}{{ end }}{{ define \"__alertmanager\" }} {{ end }}",
    );
    write("b.tmpl", "main{{ define \"mine\" }}b{{ end }}");
    write("c.txt", "{{ nope }}");
    let files = TemplateFiles::load([directory.join("*.tmpl")]).unwrap();
    let message = reference(MessageStatus::Firing);
    let check = |source: &str, expected: &str| {
        let text = expand_with(&message, &files, Escape::Html, source);
        assert_eq!(text.as_deref(), Ok(expected), "{source}");
    };
    check(
        "{{ template \"mine\" }} {{ template \"b.tmpl\" }}",
        "b main",
    );
    // A default template calls the file's definition, and an empty definition replaces nothing.
    check("{{ template \"slack.default.title\" . }}", "S<firing");
    check(
        "{{ template \"slack.default.username\" . }}",
        "llm-observatory",
    );
    check(
        "{{ define \"mine\" }}own{{ end }}{{ template \"mine\" }}",
        "own",
    );
    check(
        "{{ with \"<\" }}{{ template \"mine\" }}{{ . }}{{ end }}",
        "b&lt;",
    );
    assert_eq!(files.paths().count(), 2);
    assert_eq!(
        files,
        TemplateFiles::load([directory.join("*.tmpl")]).unwrap()
    );
    assert_ne!(files, TemplateFiles::none());

    write("d.tmpl", "\n\n{{ define \"x\" }}{{ nope }}{{ end }}");
    let error = TemplateFiles::load([directory.join("d.tmpl")]).unwrap_err();
    let expected = format!(
        "alerting: template_files: template: {}:3: function \"nope\" not defined",
        directory.join("d.tmpl").display()
    );
    assert_eq!(error.to_string(), expected);
    let error = TemplateFiles::load([directory.join("absent.tmpl")]).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    assert!(
        TemplateFiles::load([directory.join("absent*")])
            .unwrap()
            .is_empty()
    );
    let _ = std::fs::remove_dir_all(directory);
}

const DOCUMENT: &str = include_str!("../../../../../docs/alert-templates.md");

/// The first cells of the table under a heading.
fn documented(heading: &str) -> Vec<&str> {
    let (_, section) = DOCUMENT.split_once(heading).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

/// The tables of `docs/alert-templates.md` name every field, and no other.
#[test]
fn the_data_is_what_the_document_says() {
    let names = |value: &Value| {
        let Value::Object(object) = value else {
            panic!("{value:?}");
        };
        let fields = object.fields().iter();
        fields
            .map(|field| format!(".{}", field.name()))
            .collect::<Vec<_>>()
    };
    let message = reference(MessageStatus::Firing);
    let data = data::data(&message);
    assert_eq!(documented("\n### The message\n"), names(&data));
    let alert = data::alert(&message.alerts[0]);
    assert_eq!(documented("\n### Each of `.Alerts`\n"), names(&alert));
    assert_eq!(documented("\n### Default templates\n"), NAMES);
}

/// Every template of `docs/alert-templates.md` gives the text that stands below it.
#[test]
fn the_examples_of_the_document_give_their_texts() {
    let directory = directory("documented-templates");
    let mut message = reference(MessageStatus::Firing);
    message.created_at = START + 90_000;
    let mut files = TemplateFiles::none();
    let mut template = None;
    let mut count = 0;
    let blocks = DOCUMENT.split("\n```").skip(1).step_by(2);
    for block in blocks {
        let (language, text) = block.split_once('\n').unwrap();
        match language {
            "gotmpl file" => {
                std::fs::write(directory.join("slack.tmpl"), text).unwrap();
                files = TemplateFiles::load([directory.join("*.tmpl")]).unwrap();
            }
            "gotmpl" => template = Some((Escape::Slack, text)),
            "gotmpl json" => template = Some((Escape::Json, text)),
            "gotmpl html" => template = Some((Escape::Html, text)),
            "text" => {
                let (escape, source) = template.take().unwrap();
                let expanded = expand_with(&message, &files, escape, source).unwrap();
                assert_eq!(expanded.trim(), text.trim(), "{source}");
                count += 1;
            }
            "rust,ignore" => {
                for source in text.split("r#\"").skip(1) {
                    let source = source.split("\"#").next().unwrap();
                    expand_with(&message, &files, Escape::Slack, source).unwrap();
                    count += 1;
                }
            }
            other => panic!("a block of an unknown kind: {other}"),
        }
    }
    assert!(count >= 5, "{count}");
    let _ = std::fs::remove_dir_all(directory);
}
