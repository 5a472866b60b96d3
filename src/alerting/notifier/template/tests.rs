use super::{
    super::content::tests::{hostile, reference},
    *,
};
use crate::alerting::Status;

const SLOTS: [Slot; 2] = [
    Slot {
        name: "title",
        escape: Escape::Plain,
    },
    Slot {
        name: "text",
        escape: Escape::Slack,
    },
];

fn templates(pairs: &[(&str, &str)]) -> Result<Templates, RoutingError> {
    let pairs = pairs.iter();
    let sources = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Templates::new("ops", &SLOTS, &sources.collect())
}

#[test]
fn a_template_sees_the_group() {
    let source = "{{ firing_count }} {{ common_labels.alertname }}: \
                  {% for alert in alerts %}{{ alert.labels.model_id }} {{ alert.starts_at }} {% endfor %}\
                  {{ common_labels.absent }}{{ links[0].url }}";
    let rendered = templates(&[("title", source)]).unwrap();
    let rendered = rendered.render(&reference(Status::Firing));
    assert_eq!(
        rendered.get("title").unwrap(),
        "2 HighErrorRate: gpt-3.5-turbo 2026-11-23T19:40:34.028Z llama-7b 2026-11-23T19:40:34.028Z \
         http://alertmanager.example:9093"
    );
    assert_eq!((rendered.get("text"), rendered.note.as_str()), (None, ""));
}

#[test]
fn values_are_escaped_and_the_template_itself_is_not() {
    let source = "<https://example.com|go> {{ common_labels.component }}";
    let rendered = templates(&[("text", source)]).unwrap().render(&hostile());
    assert_eq!(
        rendered.get("text").unwrap(),
        "<https://example.com|go> &lt;!channel&gt; &amp; &lt;script&gt;alert(1)&lt;/script&gt;"
    );
    let html = Slot {
        name: "html",
        escape: Escape::Html,
    };
    let data = Value::from(Serde(Data::new(&hostile())));
    let text = render(html, "<b>{{ common_annotations.summary }}</b>", &data).unwrap();
    assert!(
        text.starts_with("<b>&lt;img src=x onerror=alert(1)&gt;"),
        "{text}"
    );
}

#[test]
fn a_template_that_does_not_parse_is_refused_with_its_place() {
    let error = templates(&[("title", "a\n{{ b")]).unwrap_err().to_string();
    assert!(error.starts_with("channel \"ops\": templates: "), "{error}");
    assert!(error.contains("title:2"), "{error}");
    let error = templates(&[("titel", "a")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "channel \"ops\": templates: \"titel\" is none of `title`, `text`"
    );
}

#[test]
fn a_template_that_fails_or_never_ends_leaves_a_note() {
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
    for source in ["{{ a.b.c }}", "{{ 1 / 0 }}", endless] {
        let templates = templates(&[("title", source), ("text", "fine")]).unwrap();
        let rendered = templates.render(&reference(Status::Firing));
        assert_eq!(
            (rendered.get("title"), rendered.get("text")),
            (None, Some("fine"))
        );
        assert!(
            rendered.note.starts_with("A template failed: "),
            "{}",
            rendered.note
        );
    }
}

/// The table of `docs/alert-templates.md` names every field, and no other.
#[test]
fn the_data_is_what_the_document_says() {
    let document = include_str!("../../../../docs/alert-templates.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    documented.sort_unstable();
    let data = serde_json::to_value(Data::new(&reference(Status::Firing))).unwrap();
    let alert = data["alerts"][0].as_object().unwrap();
    let fields = data.as_object().unwrap().keys().cloned();
    let mut fields: Vec<String> = fields
        .chain(alert.keys().map(|name| format!("alerts[].{name}")))
        .collect();
    fields.sort_unstable();
    assert_eq!(documented, fields);
}
