//! The rules that a preset adds to the default ones.

use super::alert_rule::AlertRule;
use super::defaults::{DefaultRules, FIVE_MINUTES, MINUTE, default_rules, inference_failures};
use super::group::{Rule, RuleGroup};
use crate::Preset;
use crate::alerting::Severity;

/// Gives the default rules and those of a preset.
///
/// Development has the default ones. Production adds critical rules for errors and response times, and is stricter
/// about models. The small server watches its own memory and CPU; enterprise adds throughput, loading, timeouts,
/// traffic and authentication to production's.
#[must_use]
pub fn preset_rules(preset: Preset, options: &DefaultRules) -> Vec<RuleGroup> {
    let mut groups = default_rules(options);
    let added = match preset {
        Preset::Development => Vec::new(),
        Preset::Production => production(options),
        Preset::Vps => vec![memory(options, 0.8), cpu(options)],
        Preset::Enterprise => {
            let mut rules = production(options);
            rules.push(memory(options, 0.9));
            rules.push(cpu(options));
            rules.extend(enterprise(options));
            rules
        }
    };
    if matches!(preset, Preset::Production | Preset::Enterprise) {
        let strict = inference_failures(options, 0.05);
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            if rule.name() == strict.id {
                *rule = Rule::from(strict.clone());
            }
        }
    }
    if !added.is_empty() {
        let group = RuleGroup::new("observatory_preset").interval(options.interval);
        groups.push(group.rules(added));
    }
    groups
}

fn production(options: &DefaultRules) -> Vec<AlertRule> {
    vec![
        options
            .rule(
                "critical_error_rate",
                Severity::Critical,
                r#"sum(rate(P_http_requests_total{status_code=~"5.."}[5m])) / sum(rate(P_http_requests_total[5m])) > 0.1 and sum(increase(P_http_requests_total[5m])) >= 20"#,
                "{{ $value | humanizePercentage }} of the requests of the last 5 minutes failed",
            )
            .name("Critical error rate")
            .hold_for(MINUTE)
            .channels(["slack", "email", "pagerduty"])
            .aggregation_key("error_rate")
            .escalation(options.escalation()),
        options
            .rule(
                "critical_response_time",
                Severity::Critical,
                "sum by (route) (rate(P_http_request_duration_seconds_sum[5m])) / sum by (route) (rate(P_http_request_duration_seconds_count[5m])) > 10 and sum by (route) (increase(P_http_request_duration_seconds_count[5m])) >= 20",
                "Requests to {{ $labels.route }} take {{ $value | humanizeDuration }} on average",
            )
            .name("Critical response time")
            .hold_for(FIVE_MINUTES)
            .channels(["slack", "pagerduty"])
            .aggregation_key("performance")
            .group_by(["route"])
            .escalation(options.escalation()),
    ]
}

fn memory(options: &DefaultRules, share: f64) -> AlertRule {
    let expr = format!(
        r#"P_memory_usage_bytes{{type="system_used"}} / ignoring (type) P_memory_usage_bytes{{type="system_total"}} > {share}"#
    );
    let summary = "{{ $value | humanizePercentage }} of the memory is in use";
    options
        .rule("critical_memory_usage", Severity::Critical, &expr, summary)
        .name("Critical memory usage")
        .hold_for(FIVE_MINUTES)
        .channels(["slack", "webhook"])
        .aggregation_key("memory_usage")
}

fn cpu(options: &DefaultRules) -> AlertRule {
    let summary = "{{ $value | humanizePercentage }} of the CPU is in use";
    options
        .rule(
            "high_cpu_usage",
            Severity::Warning,
            "avg_over_time(system_cpu_usage_ratio[5m]) > 0.85",
            summary,
        )
        .name("High CPU usage")
        .hold_for(FIVE_MINUTES)
        .channels(["slack", "webhook"])
        .aggregation_key("cpu_usage")
}

fn enterprise(options: &DefaultRules) -> Vec<AlertRule> {
    let rule = |id, severity, expr, summary| {
        options
            .rule(id, severity, expr, summary)
            .hold_for(FIVE_MINUTES)
            .channels(["slack", "webhook"])
    };
    vec![
        rule(
            "low_throughput",
            Severity::Warning,
            "sum by (model_id) (rate(P_tokens_per_second_sum[5m])) / sum by (model_id) (rate(P_tokens_per_second_count[5m])) < 10 and sum by (model_id) (increase(P_tokens_per_second_count[5m])) >= 20",
            "{{ $labels.model_id }} generates only {{ $value | humanize }} tokens per second",
        )
        .name("Low throughput")
        .group_by(["model_id"]),
        // A load that fails counts once in `errors_total`, and has a duration as any other.
        rule(
            "model_loading_failures",
            Severity::Critical,
            r#"sum(rate(P_errors_total{component="model_load"}[15m])) / sum(rate(P_model_loading_duration_seconds_count[15m])) > 0.1 and sum(increase(P_model_loading_duration_seconds_count[15m])) >= 3"#,
            "{{ $value | humanizePercentage }} of the model loads of the last 15 minutes failed",
        )
        .name("Model loading failures"),
        rule(
            "inference_timeouts",
            Severity::Critical,
            r#"sum by (model_id) (rate(P_model_inference_total{status="timeout"}[5m])) / sum by (model_id) (rate(P_model_inference_total{status!="cancelled"}[5m])) > 0.05 and sum by (model_id) (increase(P_model_inference_total{status!="cancelled"}[5m])) >= 20"#,
            "{{ $value | humanizePercentage }} of the inferences of {{ $labels.model_id }} time out",
        )
        .name("Inference timeouts")
        .group_by(["model_id"]),
        rule(
            "high_traffic",
            Severity::Warning,
            "sum(rate(P_http_requests_total[5m])) > 1000",
            "{{ $value | humanize }} requests per second",
        )
        .name("High traffic"),
        rule(
            "authentication_failures",
            Severity::Warning,
            r#"sum(rate(P_http_requests_total{status_code=~"401|403"}[5m])) / sum(rate(P_http_requests_total[5m])) > 0.1 and sum(increase(P_http_requests_total[5m])) >= 20"#,
            "{{ $value | humanizePercentage }} of the requests are refused for want of authentication",
        )
        .name("Authentication failures"),
    ]
}
