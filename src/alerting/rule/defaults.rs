//! Provides the default rules: alert rules over the observatory's own series.
//!
//! Each rule over a ratio requires a minimum number of events, because a ratio over a few requests is not meaningful.
//! Each rule has a runbook in `docs/runbooks/`, and a summary that states the value. A rule over a series that does not exist (health,
//! exporters, notifications) does not fire.

use std::time::Duration;

use super::alert_rule::AlertRule;
use super::group::RuleGroup;
use crate::alerting::{Escalation, Severity};
use crate::settings::setters;

/// Options of the default rules.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DefaultRules {
    /// Prefix of the metric names. Default: `llm_router_`.
    pub prefix: String,
    /// URL of the runbooks, to which each rule adds `/` and its id. Default: none, which omits `runbook_url`; an
    /// observatory with a server sets the URL at which it serves `/runbooks`.
    pub runbooks: Option<String>,
    /// Time between two evaluations. Default: 15 s.
    pub interval: Duration,
    /// Time after which an unacknowledged alert is escalated, for the rules with an escalation. Default: 15 min.
    pub escalation_delay: Duration,
    /// Channels that are notified on escalation. Default: `pagerduty`, `email`, `webhook`.
    pub escalation_channels: Vec<String>,
    /// Limit of the 95th percentile of the time to first token. Default: 5 s.
    pub first_token: Duration,
    /// Limit of the cost per hour, in US dollars. Default: none, which omits the rule.
    pub hourly_cost_usd: Option<f64>,
    /// Limit of the cost per day, in US dollars; requires a retention of one day. Default: none, which omits the rule.
    pub daily_cost_usd: Option<f64>,
}

impl Default for DefaultRules {
    fn default() -> Self {
        Self {
            prefix: "llm_router_".to_owned(),
            runbooks: None,
            interval: Duration::from_secs(15),
            escalation_delay: Duration::from_mins(15),
            escalation_channels: ["pagerduty", "email", "webhook"]
                .map(str::to_owned)
                .to_vec(),
            first_token: Duration::from_secs(5),
            hourly_cost_usd: None,
            daily_cost_usd: None,
        }
    }
}

impl DefaultRules {
    /// Creates options for series with this prefix.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..Self::default()
        }
    }

    /// Sets the URL of the runbooks, to which each rule adds `/` and its id.
    #[must_use]
    pub fn with_runbooks(mut self, url: impl Into<String>) -> Self {
        self.runbooks = Some(url.into());
        self
    }

    /// Sets the time after which an unacknowledged alert is escalated, and the channels that are then notified.
    #[must_use]
    pub fn with_escalation<C: Into<String>>(
        mut self,
        delay: Duration,
        channels: impl IntoIterator<Item = C>,
    ) -> Self {
        self.escalation_delay = delay;
        self.escalation_channels = channels.into_iter().map(Into::into).collect();
        self
    }

    setters! {
        /// Sets the limit of the 95th percentile of the time to first token.
        with_first_token(limit: Duration) { self.first_token = limit }

        /// Sets the limit of the cost per hour, in US dollars.
        with_hourly_cost_usd(limit: f64) { self.hourly_cost_usd = Some(limit) }

        /// Sets the limit of the cost per day, in US dollars; the store must keep samples for one day.
        with_daily_cost_usd(limit: f64) { self.daily_cost_usd = Some(limit) }
    }

    /// Creates a rule, with `P_` in its expression replaced by the prefix.
    pub(crate) fn rule(
        &self,
        id: &str,
        severity: Severity,
        expr: &str,
        summary: &str,
    ) -> AlertRule {
        let rule = AlertRule::new(id)
            .severity(severity)
            .expr(self.prefixed(expr))
            .annotation("summary", summary)
            .aggregation_key(id);
        match &self.runbooks {
            Some(url) => rule.runbook_url(format!("{}/{id}", url.trim_end_matches('/'))),
            None => rule,
        }
    }

    pub(crate) fn escalation(&self) -> Escalation {
        Escalation::after(self.escalation_delay).with_step(self.escalation_channels.iter().cloned())
    }

    fn prefixed(&self, text: &str) -> String {
        text.replace("P_", &self.prefix)
    }
}

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// Returns the default rules in two groups: rules over the application's metrics, as in the JavaScript system that this
/// crate replaces, and rules over the observatory's own.
#[must_use]
pub fn default_rules(options: &DefaultRules) -> Vec<RuleGroup> {
    let group = |name| RuleGroup::new(name).interval(options.interval);
    vec![
        group("observatory_defaults").rules(application_rules(options)),
        group("observatory_own").rules(observatory_rules(options)),
    ]
}

fn application_rules(options: &DefaultRules) -> Vec<AlertRule> {
    use Severity::{Critical, Warning};
    vec![
        options
            .rule(
                "high_error_rate",
                Critical,
                r#"sum(rate(P_http_requests_total{status_code=~"5.."}[5m])) / sum(rate(P_http_requests_total[5m])) > 0.05 and sum(increase(P_http_requests_total[5m])) >= 20"#,
                "{{ $value | humanizePercentage }} of the requests of the last 5 minutes failed",
            )
            .name("High error rate")
            .hold_for(MINUTE)
            .channels(["slack", "email"])
            .aggregation_key("error_rate")
            .escalation(options.escalation()),
        options
            .rule(
                "high_memory_usage",
                Warning,
                r#"P_memory_usage_bytes{type="system_used"} / ignoring (type) P_memory_usage_bytes{type="system_total"} > 0.85"#,
                "{{ $value | humanizePercentage }} of the memory is in use",
            )
            .name("High memory usage")
            .hold_for(FIVE_MINUTES)
            .channels(["slack"])
            .aggregation_key("memory_usage"),
        inference_failures(options, 0.1),
        options
            .rule(
                "system_health_degraded",
                Warning,
                "observatory_health_status < 1",
                "The service is {{ if eq $value 0.0 }}unhealthy{{ else }}degraded{{ end }} (health {{ $value }})",
            )
            .name("System health degraded")
            .hold_for(MINUTE)
            .channels(["slack"])
            .aggregation_key("health_status"),
        options
            .rule(
                "performance_degradation",
                Warning,
                "sum by (route) (rate(P_http_request_duration_seconds_sum[5m])) / sum by (route) (rate(P_http_request_duration_seconds_count[5m])) > 5 and sum by (route) (increase(P_http_request_duration_seconds_count[5m])) >= 20",
                "Requests to {{ $labels.route }} take {{ $value | humanizeDuration }} on average",
            )
            .name("Performance degradation")
            .hold_for(FIVE_MINUTES)
            .channels(["slack"])
            .aggregation_key("performance")
            .group_by(["route"]),
    ]
}

/// Returns the rule about failed inferences of a model; presets set different thresholds.
pub(crate) fn inference_failures(options: &DefaultRules, share: f64) -> AlertRule {
    let expr = format!(
        r#"sum by (model_id) (rate(P_model_inference_total{{status=~"error|timeout"}}[5m])) / sum by (model_id) (rate(P_model_inference_total{{status!="cancelled"}}[5m])) > {share} and sum by (model_id) (increase(P_model_inference_total{{status!="cancelled"}}[5m])) >= 20"#
    );
    let summary =
        "{{ $value | humanizePercentage }} of the inferences of {{ $labels.model_id }} fail";
    options
        .rule(
            "model_inference_failures",
            Severity::Critical,
            &expr,
            summary,
        )
        .name("Model inference failures")
        .hold_for(MINUTE)
        .channels(["slack", "pagerduty"])
        .aggregation_key("model_failures")
        .group_by(["model_id"])
        .escalation(options.escalation())
}

fn observatory_rules(options: &DefaultRules) -> Vec<AlertRule> {
    use Severity::{Critical, Warning};
    let first_token = format!(
        "histogram_quantile(0.95, sum by (model_id, le) (rate(P_time_to_first_token_seconds_bucket[5m]))) > {} and sum by (model_id) (increase(P_time_to_first_token_seconds_count[5m])) >= 20",
        options.first_token.as_secs_f64()
    );
    let mut rules = vec![
        options
            .rule(
                "slow_first_token",
                Warning,
                &first_token,
                "One in twenty answers of {{ $labels.model_id }} begins only after {{ $value | humanizeDuration }}",
            )
            .name("Slow first token")
            .hold_for(FIVE_MINUTES)
            .channels(["slack"])
            .group_by(["model_id"]),
        options
            .rule(
                "unpriced_inferences",
                Warning,
                "sum by (model_id) (increase(P_unpriced_inferences_total[15m])) > 0",
                "{{ $value | humanize }} inferences of {{ $labels.model_id }} in 15 minutes have no price: the cost is too low",
            )
            .name("Unpriced inferences")
            .hold_for(FIVE_MINUTES)
            .channels(["slack"])
            .group_by(["model_id"]),
        options
            .rule(
                "exporter_failing",
                Warning,
                r#"sum by (exporter) (increase(observatory_spans_total{result=~"dropped|failed"}[5m])) > 0"#,
                "{{ $value | humanize }} spans did not reach {{ $labels.exporter }} in 5 minutes",
            )
            .name("Exporter failing")
            .hold_for(FIVE_MINUTES)
            .channels(["slack"])
            .group_by(["exporter"]),
        options
            .rule(
                "notifications_failing",
                Critical,
                "sum by (channel) (increase(observatory_notifications_failed_total[5m])) > 0",
                "{{ $value | humanize }} notifications through {{ $labels.channel }} failed in 5 minutes",
            )
            .name("Notifications failing")
            .hold_for(MINUTE)
            .channels(["slack", "email"])
            .group_by(["channel"]),
        options
            .rule(
                "alert_store_degraded",
                Warning,
                "observatory_alert_store_degraded > 0",
                "{{ $value | humanize }} data directory cannot be written, so alert state is in memory only: a restart loses silences, acknowledgements and undelivered notifications",
            )
            .name("Alert store degraded")
            .hold_for(MINUTE)
            .channels(["slack", "email"]),
        options
            .rule(
                "series_overflow",
                Warning,
                "sum by (metric) (increase(observatory_series_overflowed_total[15m])) > 0",
                "{{ $labels.metric }} has reached its limit of series; {{ $value | humanize }} went into the overflow series in 15 minutes",
            )
            .name("Series overflow")
            .hold_for(MINUTE)
            .channels(["slack"])
            .group_by(["metric"]),
        options
            .rule(
                "runtime_blocked",
                Critical,
                "max(observatory_runtime_blocked_seconds) > 1",
                "The runtime has not answered for {{ $value | humanizeDuration }}: something blocks its workers",
            )
            .name("Runtime blocked")
            .hold_for(MINUTE)
            .channels(["slack", "pagerduty"])
            .escalation(options.escalation()),
    ];
    rules.extend(cost_rules(options));
    rules
}

/// Returns the rules of the configured cost budgets.
fn cost_rules(options: &DefaultRules) -> Vec<AlertRule> {
    let mut rules = Vec::new();
    let costs = [
        (
            "cost_budget_hourly",
            "1h",
            "an hour",
            options.hourly_cost_usd,
        ),
        ("cost_budget_daily", "1d", "a day", options.daily_cost_usd),
    ];
    for (id, window, name, limit) in costs {
        let Some(limit) = limit else { continue };
        let expr = format!("sum(increase(P_inference_cost_usd_total[{window}])) > {limit}");
        let summary = format!(
            "${{{{ $value | printf \"%.2f\" }}}} were spent in {name}; the budget is ${limit}"
        );
        rules.push(
            options
                .rule(id, Severity::Critical, &expr, &summary)
                .name("Cost budget exceeded")
                .channels(["slack", "email"])
                .aggregation_key("cost"),
        );
    }
    rules
}
