//! Evaluates rules over the series store and delivers the resulting alerts to notification channels.
//!
//! The rule half does the work of Prometheus: `rule` and `template` parse rules, `evaluate` runs their queries, and
//! `state` turns the results into [`Alert`]s. The notification half does the work of Alertmanager: `route` selects the
//! receivers of an alert, `dispatch` silences, inhibits, groups and escalates, `delivery` sends each notification over
//! a `channel` and retries it, and `history` keeps the recent alerts and their notifications. `outbox` stores on disk
//! the state that must survive a crash. `service` connects the two halves for an observatory.
//!
//! `state`, `route` and `dispatch` are pure: the caller passes the time and acts on the result. `evaluate` writes to
//! the series store and runs closures on threads of their own, but reads no clock either. `delivery`, `outbox` and
//! `channel` do I/O, on threads of the observatory.

mod alert;
mod glob;
mod options;
mod service;
mod severity;

// Rules.
mod evaluate;
mod rule;
pub mod rule_test;
mod state;
mod template;
mod trace_link;

// Notifications.
pub(crate) mod channel;
mod delivery;
mod dispatch;
mod history;
mod outbox;
mod route;

pub(crate) use self::service::{
    Alerting, Assembled, Context, Notifying, ObservatorySink, ServiceParts, Signals,
};
pub use self::{
    alert::Alert,
    options::{AlertingConfig, ChannelConfig, FlushOnShutdown},
    service::{AlertingError, Alerts, AlertsError, AlertsStatus, RaiseError, UnknownRuleChannel},
    severity::{Severity, UnknownSeverity},
};

// Rules.
#[cfg(all(feature = "server", feature = "otlp"))]
pub(crate) use self::trace_link::trace_url;
pub(crate) use self::{
    evaluate::CODE_FILE,
    rule::closure::ClosureThreads,
    rule::{FIVE_MINUTES, MINUTE, inference_failures},
    state::{SavedRuleAlert, SavedRuleAlerts},
    trace_link::{TraceLink, TraceLookup},
};
pub use self::{
    evaluate::{
        AlertStatus, Evaluation, GroupStatus, RuleFailure, RuleGroups, RuleOptions, RuleStatus,
        Source,
    },
    rule::{
        AlertRule, BurnRate, DefaultRules, ExportedRules, MetricsView, NoData, OnError,
        RecordingRule, Rule, RuleErrors, RuleFault, RuleGroup, RuleProblem, Slo, default_rules,
        export_rules, load_rule_file, parse_rule_file, slo_rules,
    },
    state::AlertState,
};

// Notifications.
#[cfg(feature = "email")]
pub use self::channel::Encryption;
pub(crate) use self::route::Silences;
pub use self::{
    channel::{
        AlertmanagerPeer, ChannelKind, Console, FailureClass, Message, MessageAlert, MessageStatus,
        Notifier, NotifyError, NotifyFuture, Reason, Receipt, TemplateFiles, Webhook, options::*,
    },
    delivery::{
        Channel, ChannelCounts, NotDurable, NotificationCounts, NotificationOptions, Notifications,
        OpenError, PeerCounts, Runner, TestResult, TimeSource, UnknownChannel,
    },
    dispatch::{AcknowledgeError, AcknowledgeTarget, Acknowledgement, DispatchOptions, GroupView},
    history::{DeliveryOutcome, DeliveryRecord, HistoryQuery, HistoryRecord, HistoryStatistics},
    outbox::StoreError,
    route::{
        ChannelTraits, Escalation, EscalationStep, ExportedChannel, GroupBy, InhibitRule,
        IntervalSpec, MatcherError, NamedInterval, Receiver, Route, Router, Routing, RoutingError,
        Silence, SilenceError, SilenceRequest, SilenceState, SimpleRule, TimeRange, parse_matchers,
    },
};
