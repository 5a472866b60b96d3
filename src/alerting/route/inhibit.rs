//! Suppresses alerts while related alerts fire: while a cluster is down, alerts of each model in it are redundant.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{RoutingError, parse_matchers};
use crate::query::{Labels, LabelsBuilder, Matcher};

/// A rule by which firing alerts (sources) suppress other alerts (targets).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InhibitRule {
    /// Matchers of the alerts that suppress others, such as `severity="critical"`.
    pub source_matchers: Vec<String>,
    /// Matchers of the alerts that are suppressed.
    pub target_matchers: Vec<String>,
    /// Labels whose values must be equal in source and target; a label that is absent in both is equal.
    pub equal: Vec<String>,
}

/// An inhibition rule with parsed matchers.
#[derive(Clone, Debug)]
pub(crate) struct CompiledInhibitRule {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

/// The alerts that currently fire and are sources, by rule and by the values of the rule's `equal` labels.
///
/// The index is built once per tick, so that 10,000 targets cost 10,000 look-ups instead of 10,000 scans of all
/// sources.
#[derive(Debug, Default)]
pub(crate) struct InhibitSources {
    /// For each rule, the sources by the values of the `equal` labels.
    by_rule: Vec<HashMap<Labels, HasSourceOnlyMatch>>,
}

/// True if any of the sources matches only the source side of the rule, not its target side.
type HasSourceOnlyMatch = bool;

impl InhibitRule {
    /// Creates a rule from a source matcher, a target matcher and the labels that must be equal in both.
    #[must_use]
    pub fn new(source: impl Into<String>, target: impl Into<String>, equal: &[&str]) -> Self {
        Self {
            source_matchers: vec![source.into()],
            target_matchers: vec![target.into()],
            equal: equal.iter().map(|label| (*label).to_owned()).collect(),
        }
    }

    pub(super) fn compile(&self, at: usize) -> Result<CompiledInhibitRule, RoutingError> {
        let side = |key: &'static str, texts: &[String]| {
            let mut matchers = Vec::new();
            for text in texts {
                matchers.extend(parse_matchers(text).map_err(|error| {
                    RoutingError::new(format!("inhibit_rules[{at}]"), key, error.to_string())
                })?);
            }
            Ok::<_, RoutingError>(matchers)
        };
        Ok(CompiledInhibitRule {
            source: side("source_matchers", &self.source_matchers)?,
            target: side("target_matchers", &self.target_matchers)?,
            equal: self.equal.clone(),
        })
    }
}

impl CompiledInhibitRule {
    fn equal_labels(&self, labels: &Labels) -> Labels {
        let mut builder = LabelsBuilder::default();
        for name in &self.equal {
            if let Some(label) = labels.label(name) {
                builder.set(label.clone());
            }
        }
        builder.build()
    }
}

impl InhibitSources {
    /// Builds the index from the label sets that currently fire.
    pub(crate) fn new<'a>(
        rules: &[CompiledInhibitRule],
        firing: impl Iterator<Item = &'a Labels>,
    ) -> Self {
        let mut sources = Self {
            by_rule: rules.iter().map(|_| HashMap::new()).collect(),
        };
        if rules.is_empty() {
            return sources;
        }
        for labels in firing {
            for (rule, sources) in rules.iter().zip(&mut sources.by_rule) {
                if matches_all(&rule.source, labels) {
                    let is_source_only = !matches_all(&rule.target, labels);
                    *sources.entry(rule.equal_labels(labels)).or_default() |= is_source_only;
                }
            }
        }
        sources
    }

    /// Returns whether a source suppresses this label set.
    ///
    /// As in Alertmanager, an alert that matches both sides of a rule is not suppressed by itself or by another alert
    /// that matches both sides. It suppresses alerts that match the target side only.
    pub(crate) fn is_inhibited(&self, rules: &[CompiledInhibitRule], labels: &Labels) -> bool {
        rules.iter().zip(&self.by_rule).any(|(rule, sources)| {
            !sources.is_empty()
                && matches_all(&rule.target, labels)
                && match sources.get(&rule.equal_labels(labels)) {
                    Some(is_source_only) => *is_source_only || !matches_all(&rule.source, labels),
                    None => false,
                }
        })
    }
}

/// Returns whether the labels satisfy every matcher.
pub(crate) fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.is_met_by(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(severity: &str, model: &str) -> Labels {
        Labels::from_pairs([("severity", severity), ("model_id", model)])
    }

    fn inhibits(rule: &InhibitRule, sources: &[Labels], target: &Labels) -> bool {
        let rules = [rule.compile(0).unwrap()];
        InhibitSources::new(&rules, sources.iter()).is_inhibited(&rules, target)
    }

    #[test]
    fn a_source_suppresses_a_target_with_equal_labels() {
        let rule = InhibitRule::new("severity=critical", "severity=warning", &["model_id"]);
        let sources = [labels("critical", "llama")];
        assert!(inhibits(&rule, &sources, &labels("warning", "llama")));
        assert!(!inhibits(&rule, &sources, &labels("warning", "gpt")));
        assert!(!inhibits(&rule, &sources, &labels("error", "llama")));
        assert!(!inhibits(&rule, &[], &labels("warning", "llama")));
    }

    #[test]
    fn a_label_that_is_absent_in_both_counts_as_equal() {
        let rule = InhibitRule::new("severity=critical", "severity=warning", &["zone"]);
        let sources = [labels("critical", "llama")];
        assert!(inhibits(&rule, &sources, &labels("warning", "gpt")));
    }

    #[test]
    fn an_alert_that_matches_both_sides_is_suppressed_only_by_an_alert_that_matches_the_source_side_only()
     {
        let rule = InhibitRule::new(
            "severity=~\"critical|warning\"",
            "severity=~\"warning|info\"",
            &[],
        );
        let both = labels("warning", "a");
        assert!(!inhibits(&rule, std::slice::from_ref(&both), &both));
        assert!(!inhibits(
            &rule,
            std::slice::from_ref(&both),
            &labels("warning", "b")
        ));
        assert!(inhibits(
            &rule,
            std::slice::from_ref(&both),
            &labels("info", "b")
        ));
        assert!(inhibits(&rule, &[labels("critical", "c")], &both));
    }
}
