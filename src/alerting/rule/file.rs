//! Parses rule files in Prometheus's format, with Prometheus's strictness.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::alert_rule::{AlertRule, Condition};
use super::compile::Compiler;
use super::duration;
use super::error::{RuleErrors, RuleFault, RuleProblem};
use super::group::{RecordingRule, Rule, RuleGroup};
use crate::query::engine::Engine;

/// Maximum size of a rule file.
const MAX_FILE_BYTES: usize = 4 << 20;

type Strings = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    groups: Option<Vec<GroupText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupText {
    name: Option<String>,
    interval: Option<String>,
    query_offset: Option<String>,
    limit: Option<i64>,
    labels: Option<Strings>,
    rules: Option<Vec<Spanned<RuleText>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    record: Option<String>,
    alert: Option<String>,
    expr: Option<String>,
    #[serde(rename = "for")]
    hold_for: Option<String>,
    keep_firing_for: Option<String>,
    labels: Option<Strings>,
    annotations: Option<Strings>,
}

/// Reads a rule file from disk; see [`parse_rule_file`].
///
/// # Errors
/// Returns all problems of the file, or a single problem if the file cannot be read.
pub fn load_rule_file(path: &Path) -> Result<Vec<RuleGroup>, RuleErrors> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| only(&file, RuleFault::Read(error.to_string())))?;
    parse_rule_file(&file, &text)
}

/// Parses the text of a rule file in Prometheus's format; errors name the file as `file`.
///
/// Rejects two things that Prometheus accepts and that cannot work: an expression that returns neither a vector nor a
/// scalar, and a rule that is repeated in its group. Names must be valid in Prometheus 2, too.
///
/// # Errors
/// Returns all problems of the file with their locations.
pub fn parse_rule_file(file: &str, text: &str) -> Result<Vec<RuleGroup>, RuleErrors> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("has {} bytes, the limit is {MAX_FILE_BYTES}", text.len());
        return Err(only(file, RuleFault::Read(message)));
    }
    // An empty file has no groups; the YAML parser requires a document.
    let has_content =
        |line: &str| !line.trim_start().is_empty() && !line.trim_start().starts_with('#');
    if !text.lines().any(has_content) {
        return Ok(Vec::new());
    }
    let parsed: Option<FileText> = serde_saphyr::from_str(text)
        .map_err(|error| only(file, RuleFault::Format(error.without_snippet().to_string())))?;
    let mut reader = Reader {
        file,
        problems: Vec::new(),
    };
    let groups = parsed.and_then(|file| file.groups).unwrap_or_default();
    let groups: Vec<_> = groups
        .into_iter()
        .map(|group| reader.group(group))
        .collect();
    let mut problems = reader.problems;
    let compiler = Compiler {
        file,
        engine: &Engine::default(),
        retention: None,
    };
    if let Err(errors) = compiler.compile(groups.clone()) {
        problems.extend(errors.problems);
    }
    problems.sort_by_key(|problem| problem.line);
    RuleErrors::check(problems)?;
    Ok(groups)
}

fn only(file: &str, fault: RuleFault) -> RuleErrors {
    RuleErrors {
        problems: vec![RuleProblem::new(file, fault)],
    }
}

struct Reader<'a> {
    file: &'a str,
    problems: Vec<RuleProblem>,
}

impl Reader<'_> {
    fn group(&mut self, text: GroupText) -> RuleGroup {
        let name = text.name.unwrap_or_default();
        let in_group = RuleProblem::new(self.file, RuleFault::Kind).in_group(&name);
        let mut group = RuleGroup::new(name);
        let interval = self.duration(&in_group, "interval", text.interval.as_ref());
        group.interval = interval.filter(|interval| !interval.is_zero());
        group.query_offset = self
            .duration(&in_group, "query_offset", text.query_offset.as_ref())
            .unwrap_or_default();
        group.limit = text
            .limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        group.labels = strings(text.labels);
        for rule in text.rules.unwrap_or_default() {
            let line = Some(rule.defined.line()).filter(|line| *line > 0);
            group.rules.extend(self.rule(&in_group, line, rule.value));
        }
        group
    }

    fn rule(&mut self, place: &RuleProblem, line: Option<u64>, text: RuleText) -> Option<Rule> {
        let record = text.record.filter(|name| !name.is_empty());
        let alert = text.alert.filter(|name| !name.is_empty());
        let name = alert.clone().or(record.clone()).unwrap_or_default();
        let place = place.clone().in_rule(&name, line);
        let hold_for = self.duration(&place, "for", text.hold_for.as_ref());
        let keep = self.duration(&place, "keep_firing_for", text.keep_firing_for.as_ref());
        let expr = text.expr.unwrap_or_default();
        match (record, alert) {
            (Some(_), Some(_)) | (None, None) => {
                self.add(&place, RuleFault::Kind);
                None
            }
            (None, Some(alert)) => {
                let mut rule = AlertRule::new(alert);
                rule.condition = Some(Condition::Expr(expr));
                rule.hold_for = hold_for.unwrap_or_default();
                rule.keep_firing_for = keep.unwrap_or_default();
                rule.labels = strings(text.labels);
                rule.annotations = strings(text.annotations);
                rule.line = line;
                Some(rule.into())
            }
            (Some(record), None) => {
                let has_annotations = text.annotations.is_some_and(|a| !a.is_empty());
                for (key, is_set) in [
                    ("for", hold_for.is_some_and(|d| !d.is_zero())),
                    ("keep_firing_for", keep.is_some_and(|d| !d.is_zero())),
                    ("annotations", has_annotations),
                ] {
                    if is_set {
                        self.add(&place, RuleFault::AlertOnly(key));
                    }
                }
                let mut rule = RecordingRule::new(record, expr);
                rule.labels = strings(text.labels);
                rule.line = line;
                Some(rule.into())
            }
        }
    }

    fn duration(
        &mut self,
        place: &RuleProblem,
        key: &str,
        text: Option<&String>,
    ) -> Option<Duration> {
        match duration::parse(text?) {
            Ok(duration) => Some(duration),
            Err(problem) => {
                let key = key.to_owned();
                self.add(place, RuleFault::Value { key, problem });
                None
            }
        }
    }

    fn add(&mut self, place: &RuleProblem, fault: RuleFault) {
        let mut problem = place.clone();
        problem.fault = fault;
        self.problems.push(problem);
    }
}

/// Converts a map; a key without a value gets the empty string, as in Go.
fn strings(text: Option<Strings>) -> BTreeMap<String, String> {
    let pairs = text.unwrap_or_default().into_iter();
    pairs.map(|(k, v)| (k, v.unwrap_or_default())).collect()
}
