//! Compares templates with promtool: a rule test expects the text to which our templates expand.

use std::time::Duration;

use llm_observatory::alerting::{
    AlertRule, RuleGroup, RuleGroups, RuleOptions, Source, export_rules,
};
use llm_observatory::query::Labels;
use llm_observatory::query::engine::Engine;
use llm_observatory::query::store::SeriesStore;
use serde_json::json;

use crate::rules_promtool::{promtool, scratch};

/// Values that templates are expanded with.
const VALUES: &[f64] = &[
    0.0,
    1.0,
    -1.0,
    0.5,
    1234.5678,
    1e6,
    123_456_789.0,
    1e20,
    1e21,
    1e-4,
    1e-5,
    0.000_123_4,
    1e-10,
    -0.0456,
    999.96,
    1000.0,
    1024.0,
    1_048_576.0,
    3661.0,
    90_061.5,
    59.999,
    1e300,
    1_435_065_584.128,
    100_000.0,
    0.1,
    2.0 / 3.0,
];

/// Templates that are expanded with every value.
const OF_VALUES: &[&str] = &[
    "{{ $value }}",
    "{{ .Value }}",
    "{{ $value | humanize }}",
    "{{ $value | humanize1024 }}",
    "{{ $value | humanizeDuration }}",
    "{{ $value | humanizePercentage }}",
    "{{ printf \"%.2f %5.1f|%-8.1f|%08.3f|%+d|%e|%g|%G|%.3g|%v|%6.2v\" $value $value $value $value 5 $value $value $value $value $value $value }}",
    "{{ if gt $value 1.0 }}gt{{ else if eq $value 1.0 }}eq{{ else if lt $value 0.0 }}neg{{ else }}lt{{ end }}",
    "{{ print $value }} {{ println $value 1 }}{{ not $value }}{{ and $value 2 }}{{ or $value \"x\" }}",
];

/// Templates that are expanded once, with the value 1234.5.
const TEMPLATES: &[&str] = &[
    "",
    "plain }} text { { }",
    "{{ $labels.instance }}-{{ $labels.nope }}-{{ .Labels.job }}",
    "{{ $labels }} {{ $externalLabels }} {{ $externalURL }} {{ .ExternalLabels.region }}",
    "{{ len $labels }} {{ index $labels \"job\" }} {{ index $labels \"none\" }}",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }}",
    "{{ range $labels }}{{ . }};{{ end }}",
    "a  {{- 1 -}}  b {{- /* comment */ -}} c\n {{ 2 -}} \n d",
    "{{/* a */}}{{- `raw` }}",
    "{{ with $labels.job }}{{ . }}{{ else }}none{{ end }}{{ with $labels.none }}x{{ else }}none{{ end }}",
    "{{ $x := 1 }}{{ $x = 2 }}{{ $x }}{{ if true }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}",
    "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $value }}{{ template \"t\" }}",
    "{{ define \"t\" }}<{{ .arg0 }} {{ .arg1 }} {{ .none }}>{{ end }}{{ template \"t\" (args \"a\" 2) }}",
    "{{ block \"b\" .Labels }}{{ .job }}{{ end }}",
    "{{ query \"sort(other)\" | first | value }} {{ query \"sort(other)\" | first | label \"k\" }}",
    "{{ range query \"sort(other)\" }}{{ .Labels.k }}={{ .Value }} {{ end }}",
    "{{ range query \"sort_desc(other)\" | sortByLabel \"k\" }}{{ .Labels.k }} {{ end }}",
    "{{ range $i, $s := query \"sort(other)\" }}{{ $i }}:{{ $s.Value }}{{ if eq $i 1 }}{{ break }}{{ end }},{{ end }}",
    "{{ range query \"sort(other)\" }}{{ if eq .Labels.k \"a\" }}{{ continue }}{{ end }}{{ .Labels.k }}{{ end }}",
    "{{ range query \"none\" }}x{{ else }}empty{{ end }}",
    "{{ query \"none\" }} {{ len (query \"sort(other)\") }} {{ query \"scalar(vector(5))\" | first | value }}",
    "{{ with query \"sort(other)\" }}{{ . | first | value | humanize }}{{ end }}",
    "{{ (query \"sort(other)\" | first).Labels.k }} {{ (index (query \"sort(other)\") 0).Value }}",
    "{{ toUpper \"abc é\" }} {{ toLower \"ABC\" }} {{ title \"hello big-world foo_bar 1a\" }}",
    "{{ match \"a.c\" \"xabcx\" }} {{ match \"^a$\" \"ab\" }} {{ reReplaceAll \"(.*)\\\\.b\" \"$1-x\" \"a.b\" }}",
    "{{ reReplaceAll \"a(x*)b\" \"${1}W\" \"-ab-axxb-\" }}",
    "{{ graphLink \"up{job=\\\"a b\\\"}\" }} {{ tableLink \"sum(x) > 1\" }}",
    "{{ $externalURL }}",
    "{{ \"a.b.c:80\" | stripPort }} {{ \"a.b.c:80\" | stripDomain }} {{ \"10.1.2.3:80\" | stripDomain }} {{ \"[::1]:80\" | stripPort }} {{ \"x\" | stripPort }}",
    "{{ parseDuration \"1h30m\" }} {{ \"5m\" | parseDuration | humanizeDuration }}",
    "{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0 }} {{ 1435065584.128 | toTime }}",
    "{{ (1435065584.128 | toTime).Year }} {{ (toTime 0).Month }} {{ (toTime 0).Weekday }}",
    "{{ humanize \"1234567\" }} {{ humanize 5 }} {{ humanizeDuration \"3661\" }}",
    "{{ html \"<a href='x'>&\\\"\" }} {{ js \"it's <b> = \\\"x\\\" \\\\ \\n\" }} {{ urlquery \"a b&c=d/é\" }}",
    "{{ html $value }} {{ safeHtml \"<b>\" }}",
    "{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt \"b\" \"a\" }} {{ ge 1.5 1.5 }}",
    "{{ and true false }} {{ and 1 0 2 }} {{ or 0 \"\" 3 }} {{ or 0 \"\" }} {{ not true }} {{ not \"\" }}",
    "{{ print 1 2 \"a\" \"b\" 3.5 true }} {{ print \"a\" 1 2 \"b\" }} {{ println \"a\" 1 }}",
    "{{ printf \"%d %5d|%-5d|%05d|%x|%X|%#x|%o|%b|%c|%q|%U\" 42 42 42 42 255 255 255 8 5 65 65 65 }}",
    "{{ printf \"%s|%10s|%-10s|%.2s|%q|%x|%v\" \"abc\" \"abc\" \"abc\" \"abc\" \"a\\\"b\\n\" \"hi\" \"abc\" }}",
    "{{ printf \"%t %v %5t\" true false true }} {{ printf \"%%\" }} {{ printf \"%T %T %T %T\" 1 \"a\" 1.5 true }}",
    "{{ printf \"%d\" \"a\" }} {{ printf \"%s\" 5 }} {{ printf \"%d\" 1.5 }} {{ printf \"%s\" }} {{ printf \"a\" 1 }} {{ printf \"%z\" 1 }} {{ printf \"%\" }}",
    "{{ printf \"%*d|%-*d|%.*f\" 5 42 5 42 2 3.14159 }} {{ printf \"%+.2e|% d|%+v\" 12345.678 5 5 }}",
    "{{ printf \"%v %s\" $labels $labels }}",
    "{{ printf \"%s %s\" (print 1) (printf \"%d\" 2) }} {{ printf \"%v\" nil }}",
    "{{ 1 }} {{ -5 }} {{ 1.5 }} {{ 1e3 }} {{ 0x1f }} {{ 'a' }} {{ true }} {{ \"s\" }} {{ 1_000 }} {{ 010 }} {{ .5 }} {{ 1e6 }}",
    "{{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" 1 }} {{ index \"abc\" 1 }} {{ len \"é\" }}",
    "{{ if and (gt $value 1.0) (lt $value 2000.0) }}in{{ end }}",
    "{{ if $labels.none }}a{{ else if eq $labels.job \"router\" }}b{{ end }}",
    "{{ $value | printf \"%.1f\" | toUpper | printf \"<%s>\" }}",
    "{{ $l := $labels }}{{ $l.job }}{{ $ := 5 }}",
    "{{ $.Labels.job }} {{ range query \"sort(other)\" }}{{ $.Value }} {{ end }}",
    "{{ \"quoted \\\"inner\\\" \\u00e9 \\x41 \\101\" }}{{ `raw \\n` }}",
    "{{ strvalue (query \"sort(other)\" | first) }}",
    "{{ humanizePercentage 0.12345 }} {{ humanize1024 1536 }} {{ humanize1024 0.5 }}",
    "{{ if not (query \"none\") }}none{{ end }} {{ if query \"sort(other)\" }}some{{ end }}",
    "{{ print (len $labels) (eq $labels.job \"router\" \"x\") }}",
    "{{ $a := print \"x\" }}{{ $b := print $a $a }}{{ $b }}",
    "{{ first (query \"none\") }}",
    "{{ query \"up ==\" }}",
    "{{ toUpper $value }}",
    "{{ $labels.job.more }}",
    "{{ $labels | humanize }}",
    "{{ humanize \"abc\" }}",
    "{{ eq 1 1.0 }}",
    "{{ lt 1 \"a\" }}",
    "{{ template \"missing\" }}",
    "{{ range $value }}x{{ end }}",
    "{{ len 3 }}",
    "{{ index $labels 1 }}",
    "{{ query \"sort(other)\" | label \"k\" }}",
    "{{ printf \"%d items\" (len (query \"sort(other)\")) }}",
    "{{ parseDuration \"x\" }}",
    "{{ $labels.job 5 }}",
    "{{ 5 | $value }}",
    "{{ call 5 }}",
    "{{ humanize }}",
    "{{ toUpper \"a\" \"b\" }}",
    "{{ humanizeTimestamp 1e300 }}",
    "{{ $nope = 1 }}",
    "{{ nil }}",
    "{{ nil | print }}",
    "{{ 1 | }}",
];

/// Templates that both refuse.
const WRONG: &[&str] = &[
    "{{ $nope }}",
    "{{ nope }}",
    "{{ if }}{{ end }}",
    "{{ if true }}",
    "{{ end }}",
    "{{ else }}",
    "{{",
    "{{ }}",
    "{{ .Labels.",
    "{{ \"a }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ 1 | 2 }}",
    "{{ 1 | }}",
    "{{ | print }}",
    "{{ range }}{{ end }}",
    "{{ break }}",
    "{{ $x := }}",
    "{{ $x, $y := 1 }}",
    "{{ define \"a\" }}",
    "{{ define }}{{ end }}",
    "{{ template }}",
    "{{ 1a }}",
    "{{ 'ab' }}",
    "{{ /* a }}",
    "{{ .a!b }}",
    "{{ $x := 1 }}{{ if $y := 2 }}{{ end }}{{ $y }}",
    "{{ if 1 }}{{ else }}{{ else }}{{ end }}",
    "{{ tmpl \"a\" 1 }}",
    "{{ \"a\".b }}",
    "{{ 1 2 }}x{{ end }}",
    "{{ ~ }}",
    "{{ 99999999999999999999 }}",
    "{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}",
    "{{range $i, $v, $w := .}}{{end}}",
];

/// Expands templates with our engine.
fn expand(rules: &[(String, &str, f64)]) -> Vec<String> {
    let options = RuleOptions::default()
        .with_external_label("region", "eu")
        .with_external_url("http://localhost:9090/path");
    let mut groups = RuleGroups::new(options);
    let engine = Engine::default();
    let store = SeriesStore::default();
    for (k, value) in [("a", 1.5), ("b", 2.0), ("c", 1e6)] {
        store.append(
            &Labels::from_pairs([("__name__", "other"), ("k", k)]),
            0,
            value,
        );
    }
    groups
        .load("t", vec![group(rules)], &Source::new(&engine, &store), 0)
        .unwrap();
    store.append(&input(), 0, 1.0);
    let evaluation = groups.evaluate_all(&Source::new(&engine, &store), 0);
    assert_eq!(evaluation.failures, []);
    let text = |(name, _, _): &(String, &str, f64)| {
        let alert = evaluation.alerts.iter().find(|alert| alert.name() == name);
        alert.unwrap().annotations["t"].clone()
    };
    rules.iter().map(text).collect()
}

fn input() -> Labels {
    Labels::from_pairs([
        ("__name__", "input"),
        ("instance", "a.example.org:9090"),
        ("job", "router"),
    ])
}

fn group(rules: &[(String, &str, f64)]) -> RuleGroup {
    let rule = |(name, template, value): &(String, &str, f64)| {
        AlertRule::new(name.clone())
            .expr(format!("input * {value:e}"))
            .annotation("t", *template)
    };
    RuleGroup::new("g")
        .interval(Duration::from_mins(1))
        .rules(rules.iter().map(rule))
}

#[test]
fn templates_expand_to_what_promtool_makes_of_them() {
    // Beyond 64 bits, Go's conversion of a float depends on the machine.
    let has_an_answer = |t: &str, v: f64| v < 9e18 || !t.contains("humanizeDuration");
    let of_values = OF_VALUES
        .iter()
        .flat_map(|t| VALUES.iter().map(move |v| (*t, *v)))
        .filter(|(t, v)| has_an_answer(t, *v));
    let once = TEMPLATES.iter().map(|t| (*t, 1234.5));
    let rules: Vec<_> = of_values
        .chain(once)
        .enumerate()
        .map(|(at, (template, value))| (format!("T{at}"), template, value))
        .collect();
    let ours = expand(&rules);
    let directory = scratch("templates");
    std::fs::write(
        directory.join("rules.yml"),
        export_rules(&[group(&rules)]).yaml,
    )
    .unwrap();
    let tests: Vec<_> = rules
        .iter()
        .zip(&ours)
        .map(|((name, _, _), text)| {
            let labels = json!({"instance": "a.example.org:9090", "job": "router"});
            json!({"eval_time": "0s", "alertname": name, "exp_alerts": [{"exp_labels": labels, "exp_annotations": {"t": text}}]})
        })
        .collect();
    let series = |series: &str, values: &str| json!({"series": series, "values": values});
    let file = json!({
        "rule_files": ["rules.yml"],
        "tests": [{
            "interval": "1m",
            "input_series": [
                series("input{instance=\"a.example.org:9090\",job=\"router\"}", "1"),
                series("other{k=\"a\"}", "1.5"), series("other{k=\"b\"}", "2"), series("other{k=\"c\"}", "1e6"),
            ],
            "external_labels": {"region": "eu"},
            "external_url": "http://localhost:9090/path",
            "alert_rule_test": tests,
        }],
    });
    let path = directory.join("test.yml");
    std::fs::write(&path, serde_json::to_string(&file).unwrap()).unwrap();
    if let Some((passed, output)) = promtool(&["test", "rules", path.to_str().unwrap()]) {
        let count = output.matches("alertname:").count();
        assert!(passed, "{count} of {} differ:\n{output}", rules.len());
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn templates_are_refused_where_promtool_refuses_them() {
    let directory = scratch("wrong-templates");
    for (at, template) in WRONG.iter().chain(TEMPLATES).enumerate() {
        let rules = [("A".to_owned(), *template, 1.0)];
        let yaml = export_rules(&[group(&rules)]).yaml;
        let ours = llm_observatory::alerting::parse_rule_file("t", &yaml);
        let path = directory.join(format!("{at}.yml"));
        std::fs::write(&path, yaml).unwrap();
        if let Some((taken, output)) = promtool(&["check", "rules", path.to_str().unwrap()]) {
            assert_eq!(
                ours.is_ok(),
                taken,
                "{template}\nours: {ours:?}\npromtool: {output}"
            );
        }
    }
    let _ = std::fs::remove_dir_all(directory);
}
