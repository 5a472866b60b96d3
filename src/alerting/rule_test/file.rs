//! Parses test files, with promtool's strictness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::alerting::{glob, rule::duration};

/// A test file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    #[serde(default)]
    rule_files: Vec<String>,
    #[serde(default)]
    pub(super) evaluation_interval: Milliseconds,
    #[serde(default)]
    pub(super) group_eval_order: Vec<String>,
    /// Prometheus 3: adjacent floating-point values count as equal.
    #[serde(default)]
    pub(super) fuzzy_compare: bool,
    #[serde(default)]
    pub(super) tests: Vec<TestGroup>,
    #[serde(skip)]
    pub(super) rule_paths: Vec<PathBuf>,
}

/// Input series and the results that are expected of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestGroup {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) interval: Milliseconds,
    #[serde(default)]
    pub(super) input_series: Vec<InputSeries>,
    #[serde(default)]
    pub(super) alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    pub(super) promql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    pub(super) external_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) external_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    #[serde(default)]
    pub(super) series: String,
    #[serde(default)]
    pub(super) values: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTest {
    #[serde(default)]
    pub(super) eval_time: Milliseconds,
    #[serde(default)]
    pub(super) alertname: String,
    #[serde(default)]
    pub(super) exp_alerts: Option<Vec<ExpectedAlert>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    #[serde(default)]
    pub(super) exp_labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) exp_annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExprTest {
    #[serde(default)]
    pub(super) expr: String,
    #[serde(default)]
    pub(super) eval_time: Milliseconds,
    #[serde(default)]
    pub(super) exp_samples: Option<Vec<ExpectedSample>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedSample {
    #[serde(default)]
    pub(super) labels: String,
    #[serde(default)]
    pub(super) value: f64,
}

/// A duration in a test file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Milliseconds(pub(super) i64);

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let parsed = duration::parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(duration::to_milliseconds(parsed)))
    }
}

/// Reads a test file and expands the patterns of its rule files.
pub(super) fn load(path: &Path, warnings: &mut Vec<String>) -> Result<TestFile, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("  {}: {error}", path.display()))?;
    let mut file: TestFile = serde_saphyr::from_str(&text)
        .map_err(|error| format!("  {}: {}", path.display(), error.without_snippet()))?;
    if file.evaluation_interval.0 == 0 {
        file.evaluation_interval = Milliseconds(60_000);
    }
    let mut names = std::collections::HashSet::new();
    if let Some(name) = file
        .group_eval_order
        .iter()
        .find(|name| !names.insert(*name))
    {
        return Err(format!("  group name repeated in evaluation order: {name}"));
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    for pattern in &file.rule_files {
        let found = glob::expand(&directory.join(pattern));
        if found.is_empty() {
            warnings.push(format!("no file match pattern {pattern}"));
        }
        file.rule_paths.extend(found);
    }
    Ok(file)
}
