//! Turns answers to `PromQL` questions into messages that page once, escalate, resolve, and survive a crash.
//!
//! The first half is what Prometheus does: rules are evaluated over the series store, and whatever fires or has
//! resolved is handed on as an [`Alert`]. The second half is what Alertmanager does: alerts are silenced,
//! inhibited, routed, grouped, and sent. Both halves are pure and take the time as an argument; the observatory's
//! own thread ticks them, and does what they decide.

mod alert;
mod severity;

// The notification half.
pub(crate) mod channel;
mod delivery;
mod dispatch;
mod history;
mod options;
mod outbox;
mod route;
mod service;

pub use self::{
    alert::Alert,
    severity::{Severity, UnknownSeverity},
};

// The notification half.
pub use self::channel::{
    AlertmanagerOptions, AlertmanagerPeer, ChannelKind, Console, ConsoleOptions, FailureClass,
    HttpClient, HttpClientError, HttpOptions, Message, MessageAlert, Notifier, NotifyError,
    NotifyFuture, PagerDutyOptions, Reason, Receipt, SlackOptions, Status, Webhook, WebhookOptions,
};
#[cfg(feature = "email")]
pub use self::channel::{EmailOptions, Encryption};
pub use self::delivery::{
    Channel, ChannelCounts, NotificationCounts, NotificationOptions, Notifications, OpenError,
    PeerCounts, Runner, TestResult, TimeSource, UnknownChannel,
};
pub use self::dispatch::{
    AcknowledgeError, AcknowledgeTarget, Acknowledgement, Damping, Delivery, DispatchOptions,
    Dispatcher, GroupView, Notification, SuppressedCounts,
};
pub use self::history::{
    DeliveryOutcome, DeliveryRecord, History, HistoryQuery, HistoryRecord, HistoryStatistics,
};
pub use self::outbox::{Backoff, StoreError};
pub use self::route::{
    ChannelTraits, Escalation, EscalationStep, ExportedChannel, GroupBy, InhibitRule, Interval,
    IntervalSpec, MatcherError, NamedInterval, Receiver, Route, Router, Routing, RoutingError,
    Silence, SilenceError, SilenceRequest, SilenceState, Silences, SimpleRule, TimeRange,
    parse_matchers,
};
pub(crate) use self::service::{
    Alerting, Assembled, Context, Notifying, ObservatorySink, ServiceParts, Signals,
};
pub use self::{
    options::{AlertingConfig, ChannelConfig},
    service::{AlertingError, Alerts, AlertsError, AlertsStatus, RaiseError, UnknownRuleChannel},
};

// The rule half: rules, templates, states, evaluation, rule tests.
mod evaluate;
mod rule;
pub mod rule_test;
mod state;
mod template;
mod trace_link;

#[cfg(all(feature = "server", feature = "otlp"))]
pub(crate) use self::trace_link::trace_url;
pub(crate) use self::{
    evaluate::CODE,
    rule::closure::ClosureThreads,
    rule::{FIVE_MINUTES, MINUTE, inference_failures},
    trace_link::{Evidence, TraceLink},
};
pub use self::{
    evaluate::{
        AlertStatus, Evaluation, GroupStatus, RuleFailure, RuleGroups, RuleOptions, RuleStatus,
        Source,
    },
    rule::{
        AlertRule, BurnRate, Condition, DefaultRules, ExportedRules, MetricsView, NoData, OnError,
        RecordingRule, Rule, RuleErrors, RuleFault, RuleGroup, RuleProblem, Slo, WhenClosure,
        default_rules, export_rules, load_rule_file, parse_rule_file, slo_rules,
    },
    state::{AlertState, SavedAlert, SavedState},
};
