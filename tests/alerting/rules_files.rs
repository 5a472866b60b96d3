//! Tests rule files: exported files are read back unchanged, and promtool accepts them.

use std::time::Duration;

use llm_observatory::Preset;
use llm_observatory::alerting::{
    AlertRule, BurnRate, DefaultRules, RecordingRule, RuleGroup, RuleGroups, Severity, Slo, Source,
    default_rules, export_rules, parse_rule_file, slo_rules,
};
use llm_observatory::preset_rules;
use llm_observatory::query::engine::Engine;
use llm_observatory::query::store::{Retention, SeriesStore};

use crate::rules_promtool::{promtool, scratch};

/// Exports groups, has promtool check them, reads them back, and exports them again.
fn check_round_trip(name: &str, groups: &[RuleGroup]) {
    let exported = export_rules(groups);
    let read = parse_rule_file("exported", &exported.yaml);
    let read = read.unwrap_or_else(|error| panic!("{error}\n{}", exported.yaml));
    let again = export_rules(&read);
    let without_comments = |yaml: &str| -> String {
        let is_content = |line: &&str| !line.trim_start().starts_with('#');
        yaml.lines()
            .filter(is_content)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        without_comments(&exported.yaml),
        without_comments(&again.yaml)
    );
    let directory = scratch(name);
    let path = directory.join("rules.yml");
    std::fs::write(&path, &exported.yaml).unwrap();
    if let Some((taken, output)) = promtool(&["check", "rules", path.to_str().unwrap()]) {
        assert!(taken, "{output}\n{}", exported.yaml);
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn default_rules_and_presets_load_here_and_in_prometheus() {
    let options = DefaultRules::new("my_router_")
        .with_hourly_cost_usd(20.0)
        .with_runbooks("https://monitor.example/runbooks");
    for preset in Preset::ALL {
        let groups = preset_rules(preset, &options);
        check_round_trip(preset.as_str(), &groups);
        let mut rules = RuleGroups::default();
        rules
            .load(
                "defaults",
                groups,
                &Source::new(&Engine::default(), &SeriesStore::default()),
                0,
            )
            .unwrap();
        for rule in rules.alert_rules() {
            assert!(rule.annotations.contains_key("runbook_url"), "{}", rule.id);
            assert!(
                rule.annotations["summary"].contains("$value"),
                "{}",
                rule.id
            );
            assert!(
                !rule.channels.is_empty() && rule.severity_label().is_some(),
                "{}",
                rule.id
            );
            assert!(rule.aggregation_key.is_some(), "{}", rule.id);
        }
    }
    let ids: Vec<_> = default_rules(&options)
        .iter()
        .flat_map(|group| {
            group
                .alert_rules()
                .map(|rule| rule.id.clone())
                .collect::<Vec<_>>()
        })
        .collect();
    for id in [
        "high_error_rate",
        "high_memory_usage",
        "model_inference_failures",
        "system_health_degraded",
        "performance_degradation",
        "cost_budget_hourly",
    ] {
        assert!(ids.iter().any(|known| known == id), "{id}");
    }
}

#[test]
fn slo_rules_fit_the_retention_or_are_refused() {
    let slo = Slo::new(
        "availability",
        r#"llm_router_http_requests_total{status_code=~"5.."}"#,
        "llm_router_http_requests_total",
        0.999,
    )
    .unwrap();
    let (engine, store) = (Engine::default(), SeriesStore::default());
    let mut rules = RuleGroups::default();
    let group = slo_rules(&slo);
    check_round_trip("slo", std::slice::from_ref(&group));
    rules
        .load("slo", vec![group], &Source::new(&engine, &store), 0)
        .unwrap();
    assert!(
        !rules.long_selectors().is_empty(),
        "six hours need the second tier"
    );

    let all = slo_rules(&slo.clone().burn_rates(BurnRate::ALL).by(["route"]));
    check_round_trip("slo_all", std::slice::from_ref(&all));
    let error = rules
        .load("slo", vec![all.clone()], &Source::new(&engine, &store), 0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("query.retention.coarse_time"), "{error}");
    let longer = SeriesStore::new(Retention::default().with_coarse_time(Duration::from_hours(72)));
    rules
        .load("slo", vec![all], &Source::new(&engine, &longer), 0)
        .unwrap();
    for objective in [0.0, 1.0, 1.5, f64::NAN] {
        assert!(Slo::new("a", "b", "c", objective).is_none(), "{objective}");
    }
}

#[test]
fn any_text_survives_the_export() {
    let odd = "\"quotes\" \\ 'single'\n\ttab: # - {{ $value }} é \u{1f600} \u{7f}\u{85}\u{2028} %";
    let group = RuleGroup::new(odd)
        .interval(Duration::from_millis(90_500))
        .limit(7)
        .label("team", "a: b")
        .rule(
            AlertRule::new("yes")
                .expr("up\n  == # comment\n  0")
                .severity(Severity::Critical)
                .hold_for(Duration::from_secs(90))
                .keep_firing_for(Duration::from_mins(5))
                .annotation("summary", odd)
                .channels(["slack"]),
        )
        .rule(AlertRule::new("long").expr("sum by (a) (rate(a_very_long_metric_name_total[5m])) / sum by (a) (rate(another_very_long_metric_name_total[5m])) > 0.5"))
        .rule(RecordingRule::new("a:b", "sum(up)").label("x", odd));
    check_round_trip("odd", &[group]);
}

#[test]
fn closures_and_disabled_rules_are_omitted_from_the_export_and_listed() {
    let group = RuleGroup::new("g")
        .rule(AlertRule::new("closure").when(|metrics| metrics.value("up") < 1.0))
        .rule(AlertRule::new("off").expr("up").disabled());
    let exported = export_rules(std::slice::from_ref(&group));
    assert_eq!(
        exported.left_out,
        [
            "alert closure: its condition is a closure",
            "alert off: the rule is disabled"
        ]
    );
    assert!(
        exported.yaml.contains("# Left out: alert closure"),
        "{}",
        exported.yaml
    );
    check_round_trip("closures", &[group]);
    assert_eq!(export_rules(&[]).yaml, "groups: []\n");
}

#[test]
fn an_expression_of_any_length_is_exported_over_several_lines() {
    for bytes in [100, 20_000] {
        let expr = format!(r#"sum(up{{a="{}"}}) > 1"#, "a".repeat(bytes));
        let group = RuleGroup::new("g").rule(AlertRule::new("long").expr(expr));
        let yaml = export_rules(&[group]).yaml;
        assert!(yaml.contains("    expr: |2-\n"), "{bytes} bytes: {yaml}");
    }
}
