//! Turns what a user writes, in code or in a file, into rules that are known to be sound.
//!
//! A rule is plain data ([`AlertRule`], [`RecordingRule`], [`RuleGroup`]). [`parse_rule_file`] reads Prometheus's
//! format and [`export_rules`] writes it, so that the same rules run on either. Nothing is evaluated before
//! `compile` has read every expression and every template: a rule that is wrong is refused when it is loaded, with
//! file, group, rule and what would be right, and never at three in the morning.

mod alert_rule;
mod behaviour;
pub(super) mod closure;
pub(super) mod compile;
mod defaults;

pub(super) mod duration;
mod error;
mod export;
mod file;
mod group;
mod names;

mod presence;
mod slo;

pub(crate) use self::defaults::{FIVE_MINUTES, MINUTE, inference_failures};
pub use self::{
    alert_rule::{AlertRule, Condition},
    behaviour::{NoData, OnError},
    closure::{MetricsView, WhenClosure},
    defaults::{DefaultRules, default_rules},
    error::{RuleErrors, RuleFault, RuleProblem},
    export::{ExportedRules, export_rules},
    file::{load_rule_file, parse_rule_file},
    group::{RecordingRule, Rule, RuleGroup},
    slo::{BurnRate, Slo, slo_rules},
};
