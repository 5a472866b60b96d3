//! Options of a registry.

use std::{collections::BTreeMap, time::Duration};

/// Options of a registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Prefix of the prefixed names of the catalog. Default: `llm_router_`.
    pub prefix: String,
    /// Max series of a metric; further series fold into an overflow series. Default: 2,000.
    pub series_limit: usize,
    /// Labels that every series gets; a label of the series with the same name takes precedence. Default: no labels.
    pub labels: BTreeMap<String, String>,
    /// Buckets of histograms, by full name, prefix or suffix; the first match applies.
    pub buckets: Vec<(BucketsFor, Vec<f64>)>,
    /// Time without a change after which a series is hidden until its next change. Default: never.
    pub idle_timeout: Option<Duration>,
    /// Masks keys and tokens in the values of labels. Default: true.
    pub masks: bool,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            prefix: "llm_router_".to_owned(),
            series_limit: crate::observation::interner::DEFAULT_LIMIT,
            labels: BTreeMap::new(),
            buckets: Vec::new(),
            idle_timeout: None,
            masks: true,
        }
    }
}

impl RegistryOptions {
    /// Sets the prefix of the prefixed names of the catalog.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the max series of a metric, up to 1,000,000.
    #[must_use]
    pub const fn with_series_limit(mut self, limit: usize) -> Self {
        self.series_limit = limit;
        self
    }

    /// Adds a label that every series gets.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds buckets for the matching histograms; the first match applies.
    #[must_use]
    pub fn with_buckets(mut self, which: BucketsFor, upper: impl Into<Vec<f64>>) -> Self {
        self.buckets.push((which, upper.into()));
        self
    }

    /// Sets the time without a change after which a series is hidden until its next change.
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Stores the values of labels as they are, with keys and tokens.
    #[must_use]
    pub const fn without_masks(mut self) -> Self {
        self.masks = false;
        self
    }
}

/// Selects the histograms that buckets apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketsFor {
    /// The histogram with this full name.
    Name(String),
    /// The histograms whose names start with this text.
    Prefix(String),
    /// The histograms whose names end with this text.
    Suffix(String),
}

impl BucketsFor {
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(full) => name == full,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => name.ends_with(suffix.as_str()),
        }
    }
}
