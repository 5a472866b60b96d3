//! Writes rules as a Prometheus rule file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::alert_rule::{AlertRule, Condition};
use super::duration;
use super::group::{Rule, RuleGroup};
use crate::alerting::template::quoted;
use crate::query::engine::syntax::{ParseLimits, parse};

/// A rule file, and the rules that it cannot contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedRules {
    /// The rule file: YAML in Prometheus's format.
    pub yaml: String,
    /// Rules that the file does not contain, each with the reason.
    pub left_out: Vec<String>,
}

/// Writes groups as a rule file that Prometheus loads.
///
/// Rules with a closure as their condition and disabled rules are omitted, and listed in [`ExportedRules::left_out`]
/// and in comments of the file. Settings without a Prometheus key, such as channels, become comments.
#[must_use]
pub fn export_rules<'a>(groups: impl IntoIterator<Item = &'a RuleGroup>) -> ExportedRules {
    let mut exported = ExportedRules::default();
    let mut body = String::new();
    for group in groups {
        write_group(&mut body, group, &mut exported.left_out);
    }
    exported.yaml = if body.is_empty() {
        "groups: []\n".to_owned()
    } else {
        format!("groups:\n{body}")
    };
    for reason in &exported.left_out {
        let _ = writeln!(exported.yaml, "# Left out: {}", one_line(reason));
    }
    exported
}

fn write_group(out: &mut String, group: &RuleGroup, left_out: &mut Vec<String>) {
    let _ = writeln!(out, "- name: {}", quoted(&group.name));
    if let Some(interval) = group.interval {
        let _ = writeln!(out, "  interval: {}", duration::format(interval));
    }
    if !group.query_offset.is_zero() {
        let _ = writeln!(
            out,
            "  query_offset: {}",
            duration::format(group.query_offset)
        );
    }
    if let Some(limit) = group.limit {
        let _ = writeln!(out, "  limit: {limit}");
    }
    // Prometheus 2 does not support labels of groups, so each rule gets them.
    let mut rules = String::new();
    for rule in &group.rules {
        let mut labels = group.labels.clone();
        labels.extend(rule.labels().clone());
        match rule {
            Rule::Alert(rule) if !rule.enabled => {
                left_out.push(format!("alert {}: the rule is disabled", rule.id));
            }
            Rule::Alert(rule) => match &rule.condition {
                Some(Condition::Expr(expr)) => write_alert(&mut rules, rule, expr, &labels),
                Some(Condition::When(_)) => {
                    left_out.push(format!("alert {}: its condition is a closure", rule.id));
                }
                None => left_out.push(format!("alert {}: it has no condition", rule.id)),
            },
            Rule::Record(rule) if !rule.enabled => {
                left_out.push(format!("record {}: the rule is disabled", rule.record));
            }
            Rule::Record(rule) => {
                let _ = writeln!(rules, "  - record: {}", quoted(&rule.record));
                write_expr(&mut rules, &rule.expr);
                write_map(&mut rules, "labels", &labels);
            }
        }
    }
    if rules.is_empty() {
        out.push_str("  rules: []\n");
    } else {
        out.push_str("  rules:\n");
        out.push_str(&rules);
    }
}

fn write_alert(out: &mut String, rule: &AlertRule, expr: &str, labels: &BTreeMap<String, String>) {
    if !rule.channels.is_empty() {
        let _ = writeln!(out, "  # channels: {}", one_line(&rule.channels.join(", ")));
    }
    let _ = writeln!(out, "  - alert: {}", quoted(&rule.id));
    write_expr(out, expr);
    for (key, value) in [
        ("for", rule.hold_for),
        ("keep_firing_for", rule.keep_firing_for),
    ] {
        if !value.is_zero() {
            let _ = writeln!(out, "    {key}: {}", duration::format(value));
        }
    }
    write_map(out, "labels", labels);
    write_map(out, "annotations", &rule.all_annotations());
}

/// Writes a long expression over several lines, as `promtool` formats it.
fn write_expr(out: &mut String, expr: &str) {
    // The limits of the engine, which are options, apply when a rule is loaded, not when it is written.
    let limits = ParseLimits {
        length_bytes: expr.len(),
        ..ParseLimits::default()
    };
    let pretty = parse(expr, &limits).map(|expr| expr.pretty());
    match pretty {
        Ok(pretty) if pretty.contains('\n') && !pretty.starts_with(' ') => {
            out.push_str("    expr: |-\n");
            write_block(out, &pretty);
        }
        // YAML derives a block's indentation from its first line; an indented first line needs an explicit indicator.
        Ok(pretty) if pretty.contains('\n') => {
            out.push_str("    expr: |2-\n");
            write_block(out, &pretty);
        }
        Ok(_) | Err(_) => {
            let _ = writeln!(out, "    expr: {}", quoted(expr));
        }
    }
}

fn write_block(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "      {line}");
    }
}

fn write_map(out: &mut String, key: &str, map: &BTreeMap<String, String>) {
    if map.is_empty() {
        return;
    }
    let _ = writeln!(out, "    {key}:");
    for (key, value) in map {
        let _ = writeln!(out, "      {key}: {}", quoted(value));
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
