//! Parses test files, with promtool's strictness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::alerting::{glob, rule::duration};

/// A test file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TestFile {
    rule_files: Vec<String>,
    pub(super) evaluation_interval: Milliseconds,
    pub(super) group_eval_order: Vec<String>,
    /// Prometheus 3: adjacent floating-point values count as equal.
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<TestGroup>,
    #[serde(skip)]
    pub(super) rule_paths: Vec<PathBuf>,
}

/// Input series and the results that are expected of them.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TestGroup {
    pub(super) name: String,
    pub(super) interval: Milliseconds,
    pub(super) input_series: Vec<InputSeries>,
    pub(super) alert_rule_test: Vec<AlertTest>,
    pub(super) promql_expr_test: Vec<ExprTest>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) external_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: Milliseconds,
    pub(super) alertname: String,
    pub(super) exp_alerts: Option<Vec<ExpectedAlert>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    pub(super) exp_labels: Option<BTreeMap<String, String>>,
    pub(super) exp_annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time: Milliseconds,
    pub(super) exp_samples: Option<Vec<ExpectedSample>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
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
