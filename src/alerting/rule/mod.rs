//! Defines rules, reads and writes Prometheus's rule files, and checks rules before they are evaluated.
//!
//! A rule is plain data ([`AlertRule`], [`RecordingRule`], [`RuleGroup`]). [`parse_rule_file`] reads Prometheus's
//! format and [`export_rules`] writes it, so the same rules run in Prometheus. `compile` parses every expression and
//! every template when rules are loaded: an invalid rule is rejected at that point, with its file, group and name and a
//! description of a valid value, and never fails to parse during an evaluation.

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
pub(super) mod in_config;
mod names;

mod presence;
mod slo;

pub(crate) use self::defaults::{FIVE_MINUTES, MINUTE, inference_failures};
pub use self::{
    alert_rule::AlertRule,
    behaviour::{NoData, OnError},
    closure::MetricsView,
    defaults::{DefaultRules, default_rules},
    error::{RuleErrors, RuleFault, RuleProblem},
    export::{ExportedRules, export_rules},
    file::{load_rule_file, parse_rule_file},
    group::{RecordingRule, Rule, RuleGroup},
    slo::{BurnRate, Slo, slo_rules},
};
