//! Generates multi-window, multi-burn-rate alerts on an error budget, as the Google SRE workbook and sloth do.

use std::time::Duration;

use super::alert_rule::AlertRule;
use super::duration;
use super::group::RuleGroup;
use crate::alerting::Severity;

/// A rate at which an error budget burns, and the windows over which it is measured.
///
/// An alert fires only if both windows exceed the rate: the long window shows that the loss is significant, the short
/// window that it continues.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BurnRate {
    /// The short window.
    pub short: Duration,
    /// The long window.
    pub long: Duration,
    /// Multiple of the rate that uses up the budget exactly at the end of its period.
    pub factor: f64,
    /// Severity of the alert.
    pub severity: Severity,
}

impl BurnRate {
    /// 2 % of a 30-day budget in one hour: page.
    pub const PAGE_QUICK: Self = Self::new(5, 60, 14.4, Severity::Critical);
    /// 5 % of a 30-day budget in six hours: page.
    pub const PAGE_SLOW: Self = Self::new(30, 6 * 60, 6.0, Severity::Critical);
    /// 10 % of a 30-day budget in one day: ticket. Requires a retention of one day.
    pub const TICKET_QUICK: Self = Self::new(2 * 60, 24 * 60, 3.0, Severity::Warning);
    /// 10 % of a 30-day budget in three days: ticket. Requires a retention of three days.
    pub const TICKET_SLOW: Self = Self::new(6 * 60, 3 * 24 * 60, 1.0, Severity::Warning);

    /// The two paging rates, which fit into the store's default retention of six hours.
    pub const DEFAULT: [Self; 2] = [Self::PAGE_QUICK, Self::PAGE_SLOW];
    /// All four rates of the workbook. Set `query.retention.coarse_time` to three days, or export the rules to a
    /// Prometheus; otherwise loading them is an error.
    pub const ALL: [Self; 4] = [
        Self::PAGE_QUICK,
        Self::PAGE_SLOW,
        Self::TICKET_QUICK,
        Self::TICKET_SLOW,
    ];

    /// Creates a burn rate from two windows in minutes.
    #[must_use]
    pub const fn new(short: u64, long: u64, factor: f64, severity: Severity) -> Self {
        Self {
            short: Duration::from_mins(short),
            long: Duration::from_mins(long),
            factor,
            severity,
        }
    }
}

/// A service level objective over two counters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Slo {
    /// Name of the objective; the label `slo` of its alerts.
    pub name: String,
    /// Selector of the failed events.
    pub bad: String,
    /// Selector of all events.
    pub total: String,
    /// Share of events that must succeed, between 0 and 1, both excluded.
    pub objective: f64,
    /// Labels by whose values the objective is evaluated separately. Default: none, a single total.
    pub by: Vec<String>,
    /// Minimum number of events in the long window for an alert. Default: 20.
    pub min_events: f64,
    /// Burn rates that cause an alert. Default: [`BurnRate::DEFAULT`].
    pub burn_rates: Vec<BurnRate>,
    /// Names of the channels that are notified. Default: none, which leaves the choice to the routing tree.
    pub channels: Vec<String>,
    /// URL of the runbook. Default: none.
    pub runbook_url: Option<String>,
}

impl Slo {
    /// Creates an objective for the share of `total` that is not `bad`; both are selectors of counters.
    ///
    /// Returns `None` unless `objective` lies between 0 and 1, both excluded: an objective of 1 has no error budget.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        bad: impl Into<String>,
        total: impl Into<String>,
        objective: f64,
    ) -> Option<Self> {
        (objective > 0.0 && objective < 1.0).then(|| Self {
            name: name.into(),
            bad: bad.into(),
            total: total.into(),
            objective,
            by: Vec::new(),
            min_events: 20.0,
            burn_rates: BurnRate::DEFAULT.to_vec(),
            channels: Vec::new(),
            runbook_url: None,
        })
    }

    /// Sets the labels by whose values the objective is evaluated separately.
    #[must_use]
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.by = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the burn rates that cause an alert.
    #[must_use]
    pub fn burn_rates(mut self, rates: impl IntoIterator<Item = BurnRate>) -> Self {
        self.burn_rates = rates.into_iter().collect();
        self
    }

    /// Sets the channels that are notified.
    #[must_use]
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the URL of the runbook.
    #[must_use]
    pub fn runbook_url(mut self, url: impl Into<String>) -> Self {
        self.runbook_url = Some(url.into());
        self
    }

    /// Returns the expression of the share of bad events over a window.
    fn error_ratio(&self, window: Duration) -> String {
        let sum = |selector: &str| {
            format!(
                "{}(rate({selector}[{}]))",
                self.sum(),
                duration::format(window)
            )
        };
        format!("{} / {}", sum(&self.bad), sum(&self.total))
    }

    fn sum(&self) -> String {
        if self.by.is_empty() {
            "sum".to_owned()
        } else {
            format!("sum by ({}) ", self.by.join(", "))
        }
    }

    fn rule(&self, at: usize, rate: &BurnRate) -> AlertRule {
        // The expression contains the subtraction, because `1 - 0.999` in floating point is not `0.001`.
        let budget = format!("(1 - {})", self.objective);
        let threshold = format!("({} * {budget})", rate.factor);
        let (short, long) = (self.error_ratio(rate.short), self.error_ratio(rate.long));
        let events = format!(
            "{}(increase({}[{}])) >= {}",
            self.sum(),
            self.total,
            duration::format(rate.long),
            self.min_events
        );
        // The value of `and` is its left operand: the long window comes first, because the summary states its value.
        let expr = format!("(({long}) > {threshold}) and (({short}) > {threshold}) and ({events})");
        let window = duration::format(rate.long);
        let summary = format!(
            "{{{{ $value | humanizePercentage }}}} of {} went wrong in {window}: the error budget of {} burns \
             {} times too fast",
            self.name, self.objective, rate.factor
        );
        let mut rule = AlertRule::new(format!(
            "slo_{}_burn_rate_{}",
            identifier(&self.name),
            at + 1
        ))
        .severity(rate.severity)
        .expr(expr)
        .label("slo", self.name.clone())
        .label("window", window)
        .annotation("summary", summary)
        .channels(self.channels.iter().cloned())
        .aggregation_key(format!("slo_{}", identifier(&self.name)));
        if let Some(url) = &self.runbook_url {
            rule = rule.runbook_url(url.clone());
        }
        rule
    }
}

/// Returns the rules of an objective: a group with one alert rule per burn rate.
///
/// Windows longer than the store's retention are rejected when the group is loaded. The store keeps six hours by
/// default ([`Retention`](crate::query::store::Retention)), into which the two paging rates fit.
#[must_use]
pub fn slo_rules(slo: &Slo) -> RuleGroup {
    let rates = slo.burn_rates.iter().enumerate();
    RuleGroup::new(format!("slo_{}", identifier(&slo.name)))
        .interval(Duration::from_secs(30))
        .rules(rates.map(|(at, rate)| slo.rule(at, rate)))
}

fn identifier(name: &str) -> String {
    let part = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(part).collect()
}
