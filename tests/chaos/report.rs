//! Collects the figures of the campaign, and prints them as a table.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

/// The size of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// About a minute and a half, for each run of the tests.
    Short,
    /// The figures of `docs/reliability.md`.
    Long,
}

impl Scale {
    pub(crate) fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// The figures of one attack.
#[derive(Debug)]
pub(crate) struct Report {
    attack: &'static str,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    text: String,
    value: String,
    /// The limit, and whether the value is within the limit; `None` for a figure without a limit.
    limit: Option<(String, bool)>,
}

impl Report {
    pub(crate) fn new(attack: &'static str) -> Self {
        Self {
            attack,
            rows: Vec::new(),
        }
    }

    /// Adds a figure without a limit.
    pub(crate) fn figure(&mut self, text: impl Into<String>, value: impl Display) {
        self.add(text.into(), value.to_string(), None);
    }

    /// Adds a number that must be equal to `expected`.
    pub(crate) fn exactly(&mut self, text: impl Into<String>, value: usize, expected: usize) {
        let limit = (format!("= {expected}"), value == expected);
        self.add(text.into(), value.to_string(), Some(limit));
    }

    /// Adds a number that must not exceed `max`.
    pub(crate) fn at_most(&mut self, text: impl Into<String>, value: f64, max: f64) {
        let limit = (format!("<= {max}"), value <= max);
        self.add(text.into(), format!("{value:.1}"), Some(limit));
    }

    /// Adds a condition that must hold.
    pub(crate) fn holds(&mut self, text: impl Into<String>, holds: bool) {
        let value = if holds { "yes" } else { "no" };
        self.add(
            text.into(),
            value.to_owned(),
            Some(("yes".to_owned(), holds)),
        );
    }

    fn add(&mut self, text: String, value: String, limit: Option<(String, bool)>) {
        self.rows.push(Row { text, value, limit });
    }

    /// Prints the figures as rows of a Markdown table; returns the number of figures beyond their limits.
    pub(crate) fn print(&self, took: Duration) -> usize {
        println!("| {} | {:.0} s | | |", self.attack, took.as_secs_f64());
        for Row { text, value, limit } in &self.rows {
            let (limit, state) = match limit {
                None => ("", ""),
                Some((limit, true)) => (limit.as_str(), "holds"),
                Some((limit, false)) => (limit.as_str(), "**FAILS**"),
            };
            println!("| {text} | {value} | {limit} | {state} |");
        }
        let failed = |row: &&Row| matches!(row.limit, Some((_, false)));
        self.rows.iter().filter(failed).count()
    }
}

/// Durations of requests of one kind, with the requests that failed.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    answered: Vec<Duration>,
    failed: usize,
}

impl Latencies {
    pub(crate) fn add(&mut self, result: Option<Duration>) {
        match result {
            Some(took) => self.answered.push(took),
            None => self.failed += 1,
        }
    }

    /// The 99th percentile in milliseconds; a failed request counts as infinite.
    pub(crate) fn p99_ms(&self) -> f64 {
        let mut all: Vec<f64> = self
            .answered
            .iter()
            .map(|took| took.as_secs_f64() * 1e3)
            .collect();
        all.extend(std::iter::repeat_n(f64::INFINITY, self.failed));
        all.sort_by(f64::total_cmp);
        let rank = (all.len() * 99).div_ceil(100).saturating_sub(1);
        all.get(rank).copied().unwrap_or(f64::INFINITY)
    }

    pub(crate) fn count(&self) -> usize {
        self.answered.len() + self.failed
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }
}

/// Latencies by path.
pub(crate) type Probed = BTreeMap<&'static str, Latencies>;
