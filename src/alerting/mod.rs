//! Turns answers to `PromQL` questions into messages that page once, escalate, resolve, and survive a crash.
//!
//! The first half is what Prometheus does: rules are evaluated over the series store, and whatever fires or has
//! resolved is handed on as an [`Alert`]. The second half is what Alertmanager does: alerts are silenced,
//! inhibited, routed, grouped, and sent. Both halves are pure and take the time as an argument; the observatory's
//! own thread ticks them, and does what they decide.

mod alert;
mod severity;

pub use self::{
    alert::Alert,
    severity::{Severity, UnknownSeverity},
};

// The rule half: rules, templates, states, evaluation, rule tests.
mod evaluate;
mod rule;
pub mod rule_test;
mod state;
mod template;

pub use self::{
    evaluate::{
        AlertStatus, Evaluation, GroupStatus, RuleFailure, RuleGroups, RuleOptions, RuleStatus,
        Source,
    },
    rule::{
        AlertRule, BurnRate, Condition, DefaultRules, Escalation, EscalationStep, ExportedRules,
        MetricsView, NoData, OnError, RecordingRule, Rule, RuleErrors, RuleFault, RuleGroup,
        RuleProblem, Slo, WhenClosure, default_rules, export_rules, load_rule_file,
        parse_rule_file, preset_rules, slo_rules,
    },
    state::{AlertState, SavedAlert, SavedState},
};
