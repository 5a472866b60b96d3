use super::{
    super::content::tests::{hostile, reference},
    *,
};
use crate::alerting::Status;

const SLOTS: [Slot; 2] = [
    Slot {
        name: "title",
        escape: Escape::Plain,
        blank: Blank::Refused,
    },
    Slot {
        name: "text",
        escape: Escape::Slack,
        blank: Blank::Refused,
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
        blank: Blank::Refused,
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

#[test]
fn an_empty_text_is_a_failure_unless_the_slot_allows_it() {
    for source in ["", " \n\t", "{{ common_labels.absent }}"] {
        let rendered = templates(&[("title", source)]).unwrap();
        let rendered = rendered.render(&reference(Status::Firing));
        assert_eq!(rendered.get("title"), None, "{source:?}");
        assert_eq!(rendered.note, "A template failed: title gave an empty text");
    }
    let allowed = Slot {
        blank: Blank::Allowed,
        ..SLOTS[0]
    };
    let sources = BTreeMap::from([("title".to_owned(), String::new())]);
    let templates = Templates::new("ops", &[allowed], &sources).unwrap();
    let rendered = templates.render(&reference(Status::Firing));
    assert_eq!(
        (rendered.get("title"), rendered.note.as_str()),
        (Some(""), "")
    );
}

#[test]
fn a_failure_is_logged_once_however_often_it_is_met() {
    use tracing_subscriber::{Layer, layer::Context, prelude::*};

    #[derive(Clone, Default)]
    struct Warnings(Arc<std::sync::atomic::AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Warnings {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    tracing::subscriber::with_default(subscriber, || {
        let failing = templates(&[("title", "{{ a.b.c }}")]).unwrap();
        for recipient in [&failing, &failing.clone(), &failing] {
            let rendered = recipient.render(&reference(Status::Firing));
            assert!(!rendered.note.is_empty());
        }
    });
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
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
