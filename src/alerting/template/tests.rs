//! Tests the engine without other programs. `tests/alerting` compares it with promtool and Alertmanager.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use proptest::prelude::*;

use super::*;
use crate::query::store::Point;

fn expand(text: &str) -> Result<String, TemplateError> {
    let labels = Labels::from_pairs([("instance", "a.example.org:9090"), ("job", "router")]);
    let external_labels = Labels::from_pairs([("region", "eu")]);
    let answer = |text: &str| {
        let sample = |job: &str, value| VectorSample {
            labels: Labels::from_pairs([("__name__", "up"), ("job", job)]),
            point: Point {
                timestamp: 0,
                value,
            },
        };
        match text {
            "up" => Ok(vec![sample("b", 2.0), sample("a", 1.5)]),
            _ => Ok(Vec::new()),
        }
    };
    let shared = Shared {
        external_labels: &external_labels,
        external_url: "http://localhost:9090/path",
        query: &answer,
    };
    let context = Context {
        labels: &labels,
        value: 1234.5,
        shared: &shared,
    };
    Template::parse("Test", text)?.expand(&context)
}

fn check(text: &str, expected: &str) {
    assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
}

fn check_error(text: &str, part: &str) {
    let error = expand(text).unwrap_err().to_string();
    assert!(error.contains(part), "{text}: {error}");
}

#[test]
fn labels_value_and_pipelines_expand() {
    check(
        "{{ $value }} of {{ $labels.job }}{{ $labels.none }}",
        "1234.5 of router",
    );
    check("{{ $value | humanize | printf \"<%s>\" }}", "<1.234k>");
    check(
        "{{ .Labels.instance | stripPort }}-{{ .ExternalLabels.region }}",
        "a.example.org-eu",
    );
    check("a {{- /* c */ -}} b{{ `` -}}  \n c", "abc");
}

#[test]
fn branches_and_loops_take_the_right_side() {
    check("{{ if gt $value 1e3 }}big{{ else }}small{{ end }}", "big");
    check(
        "{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}",
        "b",
    );
    check("{{ with $labels.none }}a{{ else }}b{{ end }}", "b");
    check(
        "{{ range query \"up\" }}{{ .Labels.job }}={{ .Value }} {{ end }}",
        "b=2 a=1.5 ",
    );
    check("{{ range query \"none\" }}a{{ else }}none{{ end }}", "none");
    check(
        "{{ range $k, $v := $labels }}{{ $k }}:{{ $v }};{{ end }}",
        "instance:a.example.org:9090;job:router;",
    );
    check(
        "{{ range query \"up\" }}{{ if eq .Labels.job \"a\" }}{{ break }}{{ end }}x{{ end }}",
        "x",
    );
    check(
        "{{ $x := 1 }}{{ range query \"up\" }}{{ $x = .Value }}{{ end }}{{ $x }}",
        "1.5",
    );
}

#[test]
fn errors_name_the_place_as_go_does() {
    check_error(
        "{{ query \"none\" | first }}",
        "first() called on vector with no elements",
    );
    check_error(
        "{{ toUpper $value }}",
        "wrong type for value; expected string; got float64",
    );
    check_error("{{ $x }}", "undefined variable \"$x\"");
    check_error("{{ nope }}", "function \"nope\" not defined");
    check_error("{{ if }}a{{ end }}", "missing value for if");
    check_error("{{ if true }}a", "unexpected EOF");
    check_error("{{ end }}", "unexpected {{end}}");
    check_error("{{ .Nope }}", "can't evaluate field Nope in type struct");
}

#[test]
fn a_template_cannot_run_long_grow_large_or_nest_deep() {
    check_error("{{ printf \"%999999s\" \"\" }}", "longer than");
    check_error(
        "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}",
        "maximum template depth",
    );
    let doubling = "{{$x := \"ab\"}}".to_owned() + &"{{$x = print $x $x}}".repeat(40);
    check_error(&doubling, "longer than");
    let nested = "{{ ".to_owned() + &"(".repeat(5000) + "1" + &")".repeat(5000) + " }}";
    check_error(&nested, "nested too deeply");
    check_error(&"{{if true}}".repeat(5000), "nested too deeply");
    let loops = "{{range query \"up\"}}".repeat(30) + &"{{end}}".repeat(30);
    check_error(&loops, "takes too long");
    let chain = "{{if 0}}".to_owned() + &"{{else if 0}}".repeat(1000) + "{{end}}";
    check_error(&chain, "nested too deeply");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "(\\{\\{|\\}\\}|[-|$.():=, \"`'a-z0-9%*+]|if|end|range|else|define|template|printf|\\$x|\\PC){0,40}") {
        let _ = expand(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = format!("{{{{{}}}}}", String::from_utf8_lossy(&bytes));
        let _ = expand(&text);
    }
}
