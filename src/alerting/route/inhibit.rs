//! Alerts that keep others back: while the whole cluster is down, nobody needs to hear of each model in it.

use std::collections::HashMap;

use serde::Deserialize;

use super::{RoutingError, parse_matchers};
use crate::query::{Labels, LabelsBuilder, Matcher};

/// A rule by which firing alerts (sources) keep others (targets) back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InhibitRule {
    /// Which alerts keep others back, such as `severity="critical"`.
    pub source_matchers: Vec<String>,
    /// Which alerts are kept back.
    pub target_matchers: Vec<String>,
    /// Labels whose values both must share; a label that neither has is shared.
    pub equal: Vec<String>,
}

/// A rule that has been checked.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

/// The sources that fire now, by rule and by the values of the labels that must be equal.
///
/// Built once per round: 10,000 targets are then 10,000 look-ups, not 10,000 walks over all sources.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// For each rule: whether one of the sources does not match the target side.
    by_rule: Vec<HashMap<Labels, OneSided>>,
}

/// Whether a source is there that matches the source side only.
type OneSided = bool;

impl InhibitRule {
    /// A rule from matchers; `equal` names the labels that both must share.
    #[must_use]
    pub fn new(source: impl Into<String>, target: impl Into<String>, equal: &[&str]) -> Self {
        Self {
            source_matchers: vec![source.into()],
            target_matchers: vec![target.into()],
            equal: equal.iter().map(|label| (*label).to_owned()).collect(),
        }
    }

    pub(super) fn compile(&self, at: usize) -> Result<CompiledRule, RoutingError> {
        let side = |key: &'static str, texts: &[String]| {
            let mut matchers = Vec::new();
            for text in texts {
                matchers.extend(parse_matchers(text).map_err(|error| {
                    RoutingError::new(format!("inhibit_rules[{at}]"), key, error.to_string())
                })?);
            }
            Ok::<_, RoutingError>(matchers)
        };
        Ok(CompiledRule {
            source: side("source_matchers", &self.source_matchers)?,
            target: side("target_matchers", &self.target_matchers)?,
            equal: self.equal.clone(),
        })
    }
}

impl CompiledRule {
    fn shared(&self, labels: &Labels) -> Labels {
        let mut builder = LabelsBuilder::default();
        for name in &self.equal {
            if let Some(label) = labels.label(name) {
                builder.set(label.clone());
            }
        }
        builder.build()
    }
}

impl Sources {
    /// Takes in the label sets that fire now.
    pub(crate) fn new<'a>(
        rules: &[CompiledRule],
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
                if are_met(&rule.source, labels) {
                    let is_one_sided = !are_met(&rule.target, labels);
                    *sources.entry(rule.shared(labels)).or_default() |= is_one_sided;
                }
            }
        }
        sources
    }

    /// Whether a source keeps this label set back. Of two that match both sides, neither does it to the other, nor
    /// one to itself; but one that matches both sides does it to those that are targets only.
    pub(crate) fn inhibit(&self, rules: &[CompiledRule], labels: &Labels) -> bool {
        rules.iter().zip(&self.by_rule).any(|(rule, sources)| {
            !sources.is_empty()
                && are_met(&rule.target, labels)
                && match sources.get(&rule.shared(labels)) {
                    Some(is_one_sided) => *is_one_sided || !are_met(&rule.source, labels),
                    None => false,
                }
        })
    }
}

/// Whether the labels meet every matcher.
pub(crate) fn are_met(matchers: &[Matcher], labels: &Labels) -> bool {
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
        Sources::new(&rules, sources.iter()).inhibit(&rules, target)
    }

    #[test]
    fn a_source_keeps_back_a_target_with_equal_labels() {
        let rule = InhibitRule::new("severity=critical", "severity=warning", &["model_id"]);
        let sources = [labels("critical", "llama")];
        assert!(inhibits(&rule, &sources, &labels("warning", "llama")));
        assert!(!inhibits(&rule, &sources, &labels("warning", "gpt")));
        assert!(!inhibits(&rule, &sources, &labels("error", "llama")));
        assert!(!inhibits(&rule, &[], &labels("warning", "llama")));
    }

    #[test]
    fn a_label_that_neither_has_is_equal() {
        let rule = InhibitRule::new("severity=critical", "severity=warning", &["zone"]);
        let sources = [labels("critical", "llama")];
        assert!(inhibits(&rule, &sources, &labels("warning", "gpt")));
    }

    #[test]
    fn an_alert_on_both_sides_is_kept_back_only_by_one_that_is_not() {
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
