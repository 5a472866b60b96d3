//! Multi-window, multi-burn-rate alerts on an error budget, as the Google SRE workbook and sloth write them.

use std::time::Duration;

use super::alert_rule::AlertRule;
use super::duration;
use super::group::RuleGroup;
use crate::alerting::Severity;

/// How fast a budget burns, over which windows, before somebody is told.
///
/// An alert needs both windows: the long one says that it matters, the short one that it still goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BurnRate {
    /// The short window.
    pub short: Duration,
    /// The long window.
    pub long: Duration,
    /// How many times faster than the budget allows.
    pub factor: f64,
    /// How bad that is.
    pub severity: Severity,
}

impl BurnRate {
    /// 2 % of a 30-day budget in an hour: page.
    pub const PAGE_QUICK: Self = Self::new(5, 60, 14.4, Severity::Critical);
    /// 5 % in six hours: page.
    pub const PAGE_SLOW: Self = Self::new(30, 6 * 60, 6.0, Severity::Critical);
    /// 10 % in a day: ticket. Needs a retention of a day.
    pub const TICKET_QUICK: Self = Self::new(2 * 60, 24 * 60, 3.0, Severity::Warning);
    /// 10 % in three days: ticket. Needs a retention of three days.
    pub const TICKET_SLOW: Self = Self::new(6 * 60, 3 * 24 * 60, 1.0, Severity::Warning);

    /// The two that fit into the store's default retention of six hours.
    pub const DEFAULT: [Self; 2] = [Self::PAGE_QUICK, Self::PAGE_SLOW];
    /// All four of the workbook: raise `query.retention.coarse_time` to three days, or export the rules to a
    /// Prometheus; loading them otherwise is an error.
    pub const ALL: [Self; 4] = [
        Self::PAGE_QUICK,
        Self::PAGE_SLOW,
        Self::TICKET_QUICK,
        Self::TICKET_SLOW,
    ];

    /// Windows of so many minutes.
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
    /// Names the objective; the label `slo`.
    pub name: String,
    /// A selector of the events that went wrong.
    pub bad: String,
    /// A selector of all events.
    pub total: String,
    /// The share of events that must go well, between 0 and 1, both excluded.
    pub objective: f64,
    /// Labels by which it holds for each one on its own. Default: none, for all together.
    pub by: Vec<String>,
    /// Events in the long window below which nothing is said. Default: 20.
    pub min_events: f64,
    /// When somebody is told. Default: the two that fit into six hours.
    pub burn_rates: Vec<BurnRate>,
    /// Who is told. Default: none, the router's default.
    pub channels: Vec<String>,
    /// Where it stands what to do. Default: none.
    pub runbook_url: Option<String>,
}

impl Slo {
    /// An objective for the share of `total` that is not `bad`; both are selectors of counters.
    ///
    /// `None` unless `objective` lies between 0 and 1, both excluded: an objective of 1 has no budget to burn.
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

    /// Has it hold for each value of these labels on its own.
    #[must_use]
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.by = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets when somebody is told.
    #[must_use]
    pub fn burn_rates(mut self, rates: impl IntoIterator<Item = BurnRate>) -> Self {
        self.burn_rates = rates.into_iter().collect();
        self
    }

    /// Sets who is told.
    #[must_use]
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets where it stands what to do.
    #[must_use]
    pub fn runbook_url(mut self, url: impl Into<String>) -> Self {
        self.runbook_url = Some(url.into());
        self
    }

    /// The share of bad events over a window.
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
        // Written from the objective, so that 99.9 % gives 0.001 and not what floats make of it.
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
        // The long window stands first: its value is the one that the summary states.
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

/// Gives the rules of an objective: one alert for each burn rate, in a group of their own.
///
/// Windows beyond the store's retention are refused when the group is loaded. The store keeps six hours by default
/// ([`Retention`](crate::query::store::Retention)), into which the two paging rates fit.
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
