//! The alert rules that a preset adds to the default rules.

use super::Preset;
use crate::alerting::{
    AlertRule, DefaultRules, FIVE_MINUTES, MINUTE, Rule, RuleGroup, Severity, default_rules,
    inference_failures,
};

/// Returns the default rules and the rules of a preset.
///
/// `Development` has only the default rules. `Production` adds critical rules for errors and response times, and lowers
/// the thresholds for models. `Vps` watches its own memory and CPU. `Enterprise` adds rules for throughput, model
/// loading, timeouts, traffic and authentication to those of `Production`.
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

/// Returns the rules of a configuration without the rules that the user adds.
pub(crate) fn configured_rules(config: &super::Config) -> Vec<RuleGroup> {
    let mut defaults = DefaultRules::new(&config.prometheus.prefix);
    defaults.interval = config.alerting.evaluation_interval;
    defaults.escalation_delay = config.alerting.escalation_delay;
    defaults.runbooks = runbooks(config);
    let environment = config.service.environment.as_deref();
    match environment.and_then(Preset::named) {
        Some(preset) => preset_rules(preset, &defaults),
        None => default_rules(&defaults),
    }
}

/// Returns the URL at which the server of the observatory has the runbooks; `None` if a browser cannot know it.
fn runbooks(config: &super::Config) -> Option<String> {
    let listen = config.prometheus.listen;
    let has_server = cfg!(feature = "server") && config.prometheus.enabled;
    let has_address = has_server && !listen.ip().is_unspecified() && listen.port() != 0;
    let own = has_address.then(|| format!("http://{listen}"));
    let base = config.alerting.external_url.clone().or(own)?;
    Some(format!("{}/runbooks", base.trim_end_matches('/')))
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
        // A failed load counts once in `errors_total`, and has a duration as every load has.
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
            "{{ $value | humanizePercentage }} of the requests fail with status 401 or 403",
        )
        .name("Authentication failures"),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::catalog::CATALOG;

    /// Series of the health checks, of prices, of the runtime's watchdog and of authentication, which no area records
    /// yet. Rules on them stay inactive until then.
    const FUTURE_SERIES: [&str; 4] = [
        "P_inference_cost_usd_total",
        "P_unpriced_inferences_total",
        "observatory_health_status",
        "observatory_runtime_blocked_seconds",
    ];

    #[test]
    fn every_series_of_a_rule_is_in_the_catalog() {
        let known: BTreeSet<String> = CATALOG
            .iter()
            .map(|metric| {
                let prefix = if metric.is_prefixed { "P_" } else { "" };
                format!("{prefix}{}", metric.name)
            })
            .collect();
        let name = regex::Regex::new(r"\b(?:P_|observatory_|system_|process_)\w+").unwrap();
        let text = regex::Regex::new(r#""[^"]*""#).unwrap();
        let options = DefaultRules::new("P_")
            .with_hourly_cost_usd(1.0)
            .with_daily_cost_usd(1.0);
        let mut missing = BTreeSet::new();
        for preset in Preset::ALL {
            for group in preset_rules(preset, &options) {
                for rule in group.alert_rules() {
                    let Some(expr) = rule.expression() else {
                        panic!("{} has no expression", rule.id);
                    };
                    let expr = text.replace_all(expr, "\"\"");
                    let names: Vec<&str> = name.find_iter(&expr).map(|n| n.as_str()).collect();
                    assert!(!names.is_empty(), "{expr}");
                    missing.extend(
                        names
                            .into_iter()
                            .filter(|name| {
                                let stem = ["_bucket", "_sum", "_count"]
                                    .iter()
                                    .find_map(|end| name.strip_suffix(end));
                                !known.contains(*name)
                                    && stem.is_none_or(|stem| !known.contains(stem))
                            })
                            .map(str::to_owned),
                    );
                }
            }
        }
        let missing: Vec<String> = missing.into_iter().collect();
        assert_eq!(missing, FUTURE_SERIES);
    }
}
