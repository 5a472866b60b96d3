mod documented;

use proptest::prelude::*;

use super::{
    super::content::tests::{START, hostile, reference},
    *,
};
use crate::alerting::{MessageStatus, template::TemplateError};

const SLOTS: [Slot; 2] = [
    Slot::new("title", Escape::Plain),
    Slot::new("text", Escape::Slack),
];

fn templates(pairs: &[(&str, &str)]) -> Result<Templates, RoutingError> {
    let pairs = pairs.iter();
    let sources = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Templates::new("ops", &SLOTS, &sources.collect(), &TemplateFiles::none())
}

fn expand_with(
    message: &Message,
    files: &TemplateFiles,
    escape: Escape,
    source: &str,
) -> Result<String, TemplateError> {
    let inputs = MessageInputs {
        libraries: &files.libraries(),
        now_ms: data::now_ms(message),
        escape,
    };
    MessageTemplate::parse("t", source)?.expand(&data::data(message), inputs)
}

fn expand(source: &str) -> Result<String, TemplateError> {
    let message = reference(MessageStatus::Firing);
    expand_with(&message, &TemplateFiles::none(), Escape::Plain, source)
}

fn check(source: &str, expected: &str) {
    assert_eq!(expand(source).as_deref(), Ok(expected), "{source}");
}

fn check_error(source: &str, part: &str) {
    let error = expand(source).unwrap_err().to_string();
    assert!(error.contains(part), "{source}: {error}");
}

#[test]
fn a_template_sees_the_group() {
    let source = "{{ .FiringCount }} {{ .CommonLabels.alertname }}: \
                  {{ range .Alerts }}{{ .Labels.model_id }} {{ .StartsAt.Format \"2006-01-02T15:04:05.000Z07:00\" }} {{ end }}\
                  {{ .CommonLabels.absent }}{{ (index .Links 0).URL }}";
    let rendered = templates(&[("title", source)]).unwrap();
    let rendered = rendered.render(&reference(MessageStatus::Firing));
    assert_eq!(
        rendered.get("title").unwrap(),
        "2 HighErrorRate: gpt-3.5-turbo 2026-11-23T19:40:34.028Z llama-7b 2026-11-23T19:40:34.028Z \
         http://alertmanager.example:9093"
    );
    assert_eq!((rendered.get("text"), rendered.note.as_str()), (None, ""));
}

#[test]
fn values_are_escaped_and_the_template_itself_is_not() {
    let source = "<https://example.com|go> {{ .CommonLabels.component }}";
    let rendered = templates(&[("text", source)]).unwrap().render(&hostile());
    assert_eq!(
        rendered.get("text").unwrap(),
        "<https://example.com|go> &lt;!channel&gt; &amp; &lt;script&gt;alert(1)&lt;/script&gt;"
    );
    let none = TemplateFiles::none();
    let html = |source: &str| expand_with(&hostile(), &none, Escape::Html, source).unwrap();
    let text = html("<b>{{ .CommonAnnotations.summary }}</b>");
    assert!(
        text.starts_with("<b>&lt;img src=x onerror=alert(1)&gt;"),
        "{text}"
    );
    assert_eq!(html("{{ safeHtml \"<b>\" }}{{ \"<b>\" }}"), "<b>&lt;b&gt;");
    assert_eq!(
        html("{{ define \"a\" }}{{ . }}{{ end }}{{ template \"a\" \"<'\\\"&\" }}"),
        "&lt;&#39;&#34;&amp;"
    );
    assert_eq!(html("{{ \"<\" | html }}"), "&lt;", "escaped once");
    let mut message = reference(MessageStatus::Firing);
    let alert = Arc::make_mut(&mut message.alerts[0].alert);
    alert.annotations.extend(hostile().common_annotations);
    alert.annotations.retain(|_, text| text.len() < 1_000);
    let page = "{{ template \"email.default.html\" . }}";
    let page = expand_with(&message, &none, Escape::Html, page).unwrap();
    assert!(page.contains("&lt;img src=x"), "{page}");
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "escaped"
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
    let recursive = "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}";
    let loops = "{{ range .Alerts }}".repeat(40) + &"{{ end }}".repeat(40);
    let huge = "{{ $x := \"ab\" }}".to_owned() + &"{{ $x = print $x $x }}".repeat(40);
    for source in [
        "{{ .A.B.C }}",
        "{{ index .Alerts 9 }}",
        recursive,
        &loops,
        &huge,
    ] {
        let templates = templates(&[("title", source), ("text", "fine")]).unwrap();
        let rendered = templates.render(&reference(MessageStatus::Firing));
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
fn deep_nesting_fails_and_does_not_overflow_the_stack() {
    let branches = "{{ if true }}".repeat(45);
    let ends = "{{ end }}".repeat(45);
    let source = format!(
        "{{{{ define \"a\" }}}}{branches}{{{{ template \"a\" . }}}}{ends}{{{{ end }}}}{{{{ template \"a\" . }}}}"
    );
    check_error(&source, "exceeded maximum depth");
    let (open, close) = ("(".repeat(100_000), ")".repeat(100_000));
    check_error(&format!("{{{{ {open}1{close} }}}}"), "nested too deeply");
    check_error(&"{{ with . }}".repeat(50_000), "nested too deeply");
    let longest = format!("{{{{ {}1{} }}}}", "(".repeat(97), ")".repeat(97));
    check(&longest, "1");
}

#[test]
fn an_empty_text_is_a_failure_unless_the_slot_allows_it() {
    for source in ["", " \n\t", "{{ .CommonLabels.absent }}"] {
        let rendered = templates(&[("title", source)]).unwrap();
        let rendered = rendered.render(&reference(MessageStatus::Firing));
        assert_eq!(rendered.get("title"), None, "{source:?}");
        assert_eq!(rendered.note, "A template failed: title gave an empty text");
    }
    let allowed = SLOTS[0].or_blank();
    let sources = BTreeMap::from([("title".to_owned(), String::new())]);
    let templates = Templates::new("ops", &[allowed], &sources, &TemplateFiles::none()).unwrap();
    let rendered = templates.render(&reference(MessageStatus::Firing));
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
        let failing = templates(&[("title", "{{ .A.B.C }}")]).unwrap();
        for recipient in [&failing, &failing.clone(), &failing] {
            let rendered = recipient.render(&reference(MessageStatus::Firing));
            assert!(!rendered.note.is_empty());
        }
    });
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
}

/// The expected texts are Alertmanager 0.25's, unless a comment says otherwise.
#[test]
fn functions_and_methods_give_alertmanagers_texts() {
    check(
        "{{ .Status | toUpper }} {{ toLower \"AbC\" }}",
        "FIRING abc",
    );
    check(
        "{{ title \"hello wORLD foo_bar foo-bar it's a.b gpt-3.5-turbo 3abc x:y école ß (abc) a,b 1.a a.1 a..b a'b' o’neil\" }}",
        "Hello World Foo_bar Foo-Bar It's A.b Gpt-3.5-Turbo 3Abc X:y École Ss (Abc) A,B 1.A A.1 A..B A'b' O’neil",
    );
    check("{{ stringSlice \"a\" \"b\" | join \", \" }}", "a, b");
    check("{{ match \"^High\" .CommonLabels.alertname }}", "true");
    check(
        "{{ reReplaceAll \"(\\\\w+)-\" \"${1}_\" \"gpt-4\" }}",
        "gpt_4",
    );
    check(
        "{{ .CommonLabels.Names }} {{ .CommonLabels.Values }}",
        "[alertname component severity] [HighErrorRate router critical]",
    );
    check(
        "{{ .CommonLabels.SortedPairs.Names | join \"+\" }} {{ .CommonLabels.SortedPairs.Values | join \"+\" }}",
        "alertname+component+severity HighErrorRate+router+critical",
    );
    check(
        "{{ range .CommonLabels.SortedPairs }}{{ . }} {{ .Name }};{{ end }}",
        "{alertname HighErrorRate} alertname;{component router} component;{severity critical} severity;",
    );
    check(
        "{{ range $k, $v := .CommonLabels }}{{$k}}={{$v}} {{ end }}",
        "alertname=HighErrorRate component=router severity=critical ",
    );
    check(
        "{{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join \" \" }}{{ end }}",
        "critical",
    );
    check(
        "{{ len .Alerts }} {{ len .Alerts.Firing }} {{ .Alerts.Resolved | len }}",
        "2 2 0",
    );
    check(
        "{{ range $i, $a := .Alerts }}{{ $i }}{{ $a.Labels.model_id }}{{ end }}",
        "0gpt-3.5-turbo1llama-7b",
    );
    check("{{ slice .Alerts 0 1 | len }}", "1");
    check(
        "{{ with index .Alerts 0 }}{{ .StartsAt }} | {{ .EndsAt }} | {{ .EndsAt.IsZero }} {{ .StartsAt.Unix }}{{ end }}",
        "2026-11-23 19:40:34.028 +0000 UTC | 0001-01-01 00:00:00 +0000 UTC | true 1795462834",
    );
    check(
        "{{ with index .Alerts 0 }}{{ .EndsAt.Sub .StartsAt }} {{ .StartsAt.Weekday }} {{ .StartsAt.Month }}{{ end }}",
        "-2562047h47m16.854775808s Monday November",
    );
    check("{{ (index .Alerts 0).Fingerprint }}", "da88a38f0beaa1b4");
    check(
        "{{ js \"a<b>'\\\"\" }} {{ html \"<\" }} {{ urlquery \"a b&\" }} {{ \"ü+c/d\" | urlQueryEscape }}",
        "a\\u003Cb\\u003E\\'\\\" &lt; a+b%26 %C3%BC%2Bc%2Fd",
    );
    check("{{ .CommonLabels.absent }}|", "|");
    // By the documentation of Alertmanager 0.28 and of Go's packages: 0.25 does not have these.
    check(
        "{{ trimSpace \" a \" }}|{{ urlUnescape \"a+b%26\" }}",
        "a|a b&",
    );
    check(
        "{{ date \"2006-01-02\" (index .Alerts 0).StartsAt }}",
        "2026-11-23",
    );
    check(
        "{{ (index .Alerts 0).StartsAt | tz \"Europe/Paris\" | date \"15:04 MST\" }}",
        "20:40 CET",
    );
    check("{{ humanizeDuration 3661 }}", "1h 1m 1s");
    check("{{ safeUrl \"https://a/b\" }}", "https://a/b");
    check(
        "{{ .GroupLabels | toJson }}",
        r#"{"alertname":"HighErrorRate","component":"router"}"#,
    );
    check(
        "{{ toJson (index .Alerts 0).EndsAt }}{{ toJson \"<a>\" }}",
        "\"0001-01-01T00:00:00Z\"\"\\u003ca\\u003e\"",
    );
    // Newer versions print labels by their method `String`.
    check(
        "{{ .GroupLabels }} {{ .GroupLabels.SortedPairs }} {{ printf \"%s\" .GroupLabels }}",
        &["alertname=HighErrorRate, component=router"; 3].join(" "),
    );
    // Prometheus's functions, which Alertmanager does not have.
    check(
        "{{ humanize 1234 }} {{ humanizePercentage 0.5 }}",
        "1.234k 50%",
    );
}

#[test]
fn errors_name_the_place_and_the_types() {
    check_error(
        "{{ .nope }}",
        "can't evaluate field nope in type *template.Data",
    );
    check_error(
        "{{ .Status.Foo }}",
        "can't evaluate field Foo in type string",
    );
    check_error(
        "{{ .Status 1 }}",
        "Status is not a method but has arguments",
    );
    check_error(
        "{{ .CommonLabels.Remove }}",
        "wrong number of args for Remove: want 1 got 0",
    );
    check_error(
        "{{ join \",\" .CommonLabels }}",
        "expected []string; got template.KV",
    );
    check_error(
        "{{ reReplaceAll \"(\" \"x\" \"y\" }}",
        "error calling reReplaceAll",
    );
    check_error(
        "{{ tz \"No/Where\" (index .Alerts 0).StartsAt }}",
        "unknown time zone",
    );
    check_error(
        "{{ template \"no.such\" . }}",
        "template \"no.such\" not defined",
    );
    check_error("{{ break }}", "{{break}} outside {{range}}");
    check_error("{{ query \"up\" }}", "function \"query\" not defined");
    check_error(
        "{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}",
        "multiple definition of template \"a\"",
    );
}

#[test]
fn since_counts_to_the_time_of_the_message() {
    let mut message = reference(MessageStatus::Firing);
    message.created_at = START + 90_000;
    let source = "{{ since (index .Alerts 0).StartsAt }} {{ (index .Alerts 0).StartsAt | since | humanizeDuration }}";
    let text = expand_with(&message, &TemplateFiles::none(), Escape::Plain, source);
    assert_eq!(text.unwrap(), "1m30s 1m 30s");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "(\\{\\{|\\}\\}|[-|$.():=, \"`'a-z0-9%*+]|if|end|range|define|template|printf|\\.Alerts|\\.Labels|\\.StartsAt|\\.Format|Remove|Sub|join|slice|index|\\$x|\\PC){0,40}") {
        for escape in [Escape::Plain, Escape::Html, Escape::Json, Escape::Slack] {
            let _ = expand_with(&reference(MessageStatus::Firing), &TemplateFiles::none(), escape, &text);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let bytes = String::from_utf8_lossy(&bytes);
        let _ = expand(&format!("{{{{{bytes}}}}}"));
        let _ = expand(&bytes);
    }

    #[test]
    fn no_layout_panics(layout in "([-+_.,0-9 ZMJTS:]|Jan|January|Mon|MST|PM|Z07:00|__2|\\PC){0,20}") {
        let source = format!("{{{{ (index .Alerts 0).StartsAt.Format {layout:?} }}}}");
        let _ = expand(&source);
    }
}
