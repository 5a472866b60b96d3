//! Runs alerting for an observatory: assembles rules and channels, evaluates the rules, and publishes their metrics.
//!
//! The working thread evaluates the rules that are due and passes their alerts to [`Notifications`]. A second thread
//! runs the [`Runner`] of the notifications, so that an evaluation does not delay a message, and a slow receiver does
//! not delay an evaluation.

mod api;
mod assemble;
mod change;
mod counts;
mod durable;
mod raised;
mod signals;
mod thread;
mod unknown;

use std::{
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool},
    time::Duration,
};

pub use self::{
    api::{Alerts, AlertsError, AlertsStatus},
    assemble::{AlertingError, UnknownRuleChannel},
    raised::RaiseError,
};
pub(crate) use self::{
    assemble::{Assembled, ServiceParts},
    signals::{ObservatorySink, Signals},
    thread::Notifying,
};
use self::{
    durable::{restore_switches, saved_alerts},
    raised::Raised,
};
use crate::{
    alerting::{
        Alert, ClosureThreads, Evaluation, FlushOnShutdown, Notifications, RuleGroups, Runner,
        SavedRuleAlert, SavedRuleAlerts, Source, TraceLink, TraceLookup,
    },
    metrics::collect::{Queries, exemplars},
    privacy::Redaction,
    query::engine::Control,
    runtime::{lock, report_once::ReportOnce, unix_ms::UnixMs},
};

/// The name under which the store keeps the alerts of the rules.
const SAVED_RULES: &str = "rules";
/// The time between two saves of unchanged alerts: after a restart, the time of the last save limits the length of the
/// outage.
const SAVE_INTERVAL: Duration = Duration::from_mins(1);
/// The time after which the log repeats a lasting failure of a rule.
const FAILURE_REPORT_INTERVAL: Duration = Duration::from_hours(1);
/// The maximum run time of a rule's closure; a longer run is a failure of the rule.
const MAX_CLOSURE_TIME: Duration = Duration::from_secs(1);

/// The parts of the observatory that alerting uses.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) queries: Arc<Queries>,
    pub(crate) redaction: Arc<Redaction>,
    /// The external labels of every series.
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}

/// The rules, alerts and notifications of an observatory.
pub(crate) struct Alerting {
    context: Context,
    rules: Mutex<RuleGroups>,
    raised: Mutex<Raised>,
    notifications: Notifications,
    /// The first runner, until it is started.
    runner: Mutex<Option<Runner>>,
    signals: Signals,
    routes: assemble::Routes,
    last_save: Mutex<LastSave>,
    failure_reports: Mutex<ReportOnce<(String, String)>>,
    /// Held while routes are built from rules and replaced, so that concurrent changes take effect in order.
    routing: Mutex<()>,
    link: TraceLink,
    flush_on_shutdown: FlushOnShutdown,
    unknown_reports: Mutex<unknown::UnknownReports>,
    is_on: bool,
}

/// The last saved alerts of the rules.
#[derive(Default)]
struct LastSave {
    at: UnixMs,
    alerts: Vec<SavedRuleAlert>,
}

impl Alerting {
    /// Creates the service and restores the alerts of the previous process.
    pub(crate) fn new(assembled: Assembled) -> Self {
        let Assembled {
            context,
            mut rules,
            notifications,
            runner,
            signals,
            routes,
            link,
            flush_on_shutdown,
            is_on,
        } = assembled;
        let saved = notifications
            .saved_state(SAVED_RULES)
            .and_then(|bytes| serde_json::from_slice::<SavedRuleAlerts>(&bytes).ok());
        restore_switches(&mut rules, &notifications, &context);
        if let Some(saved) = saved {
            let resolved = rules.restore(&saved, context.queries.now().as_i64());
            notifications.put(resolved);
        }
        Self {
            context,
            rules: Mutex::new(rules),
            raised: Mutex::new(Raised::new(link.clone(), saved_alerts(&notifications))),
            notifications,
            runner: Mutex::new(Some(runner)),
            signals,
            routes,
            last_save: Mutex::default(),
            failure_reports: Mutex::new(ReportOnce::new(FAILURE_REPORT_INTERVAL)),
            routing: Mutex::default(),
            link,
            flush_on_shutdown,
            unknown_reports: Mutex::default(),
            is_on,
        }
    }

    /// Starts the thread that sends notifications; `None` if alerting is off.
    pub(crate) fn start(&self) -> std::io::Result<Option<Notifying>> {
        if !self.is_on {
            return Ok(None);
        }
        let first = lock(&self.runner).take();
        let runner = first.unwrap_or_else(|| self.notifications.runner());
        Notifying::start(runner).map(Some)
    }

    /// Locks the rules.
    pub(crate) fn rules(&self) -> MutexGuard<'_, RuleGroups> {
        lock(&self.rules)
    }

    /// Locks the alerts that the application raised.
    pub(crate) fn raised(&self) -> MutexGuard<'_, Raised> {
        lock(&self.raised)
    }

    pub(crate) const fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Returns the time until the next evaluation; `None` without rules.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if !self.is_on {
            return None;
        }
        let now = self.context.queries.now();
        let next = self.rules().next_evaluation(now.as_i64())?;
        Some(UnixMs::from_i64(next).saturating_since(now))
    }

    /// Applies the signals of the application and evaluates the rules that are due; stops when `is_cancelled` is set.
    pub(crate) fn work(&self, is_cancelled: &AtomicBool) {
        self.evaluate(is_cancelled, RuleGroups::evaluate_due);
    }

    /// Applies the last signals of the application and evaluates all rules over the last values, before the
    /// notifications stop.
    pub(crate) fn finish(&self, is_cancelled: &AtomicBool) {
        if self.is_on {
            self.context.queries.collect();
        }
        self.evaluate(is_cancelled, RuleGroups::evaluate_all);
        self.log_unknown_metrics(true);
    }

    /// Makes the groups due that the shutdown must notify.
    pub(crate) fn expedite(&self) {
        self.notifications.expedite(self.flush_on_shutdown);
    }

    fn evaluate(
        &self,
        is_cancelled: &AtomicBool,
        evaluate: fn(&mut RuleGroups, &Source<'_>, i64) -> Evaluation,
    ) {
        if !self.is_on {
            return;
        }
        self.take_signals();
        let Context {
            queries, redaction, ..
        } = &self.context;
        let gatherer = &queries.gatherer;
        let now = queries.now();
        {
            // This thread applies the steps of the wall clock, so `now` stays valid. The lock orders this update before
            // the update of a concurrent call that resolves an alert.
            let mut raised = self.raised();
            let resent = raised.resend(now);
            if !resent.is_empty() {
                self.save_raised(&mut raised);
            }
            self.put(resent);
            raised.write_when_due(&queries.store, now);
        }
        let start = gatherer.uptime();
        let clock = || gatherer.uptime();
        let share = queries.own_budget.share();
        let held = |samples| share.hold_samples(samples);
        let control = Control {
            clock: Some(&clock),
            cancel: Some(is_cancelled),
            held: Some(&held),
        };
        let find = |selector: &[_], labels: &_, times: &_| {
            exemplars::most_telling_trace(&gatherer.registry, selector, labels, times)
        };
        let source = Source::new(&queries.engine, &queries.store)
            .with_control(control)
            .with_closure_threads(ClosureThreads {
                store: &queries.store,
                timeout: MAX_CLOSURE_TIME,
            })
            .with_redaction(redaction)
            .with_trace_lookup(TraceLookup {
                find: &find,
                link: &self.link,
            });
        let mut rules = self.rules();
        let evaluation = evaluate(&mut rules, &source, now.as_i64());
        let duration = gatherer.uptime().saturating_sub(start);
        if evaluation.rules > 0 {
            self.save(&rules, now);
            counts::record_evaluation(&gatherer.registry, &evaluation, duration);
        }
        // The lock of the rules orders this update before the end of the alerts of a rule that is removed concurrently.
        self.report(evaluation, gatherer.uptime());
        drop(rules);
        self.notifications.wake();
    }

    /// Applies the alert signals of events since the last call.
    pub(crate) fn take_signals(&self) {
        for signal in self.signals.take() {
            if signal.is_resolved {
                self.resolve_raised(&signal);
            } else if let Err(error) = self.raise(&signal) {
                tracing::warn!(target: "llm_observatory", "an event could not raise an alert: {error}");
            }
        }
    }

    /// Moves samples, alerts and deadlines by a step of the wall clock. `apply` moves the clock meanwhile; the locks
    /// keep other threads from using a time of before the step with a state of after it.
    pub(crate) fn shift(&self, by_ms: i64, apply: impl FnOnce()) {
        let mut rules = self.rules();
        let mut raised = self.raised();
        rules.shift(by_ms);
        raised.shift(by_ms);
        self.context.queries.shift(by_ms);
        self.notifications.shift(by_ms, apply);
        self.save_raised(&mut raised);
        drop(raised);
        lock(&self.last_save).at.shift(by_ms);
        self.save(&rules, self.context.queries.now());
    }

    /// Returns whether alerting is on.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Updates the metrics of alerting.
    pub(crate) fn tick(&self) {
        if !self.is_on {
            return;
        }
        counts::publish(&self.context.queries.gatherer.registry, self);
        self.report_unknown_metrics();
    }

    /// Logs the failures of an evaluation, and passes its alerts to the notifications.
    fn report(&self, evaluation: Evaluation, now: Duration) {
        let mut reports = lock(&self.failure_reports);
        for failure in &evaluation.failures {
            let rule = (failure.group.clone(), failure.rule.clone());
            if reports.is_due(rule, &failure.error, now) {
                tracing::warn!(
                    target: "llm_observatory",
                    "the alert rule {} of group {} failed: {}",
                    failure.rule,
                    failure.group,
                    failure.error
                );
            }
        }
        drop(reports);
        self.put(evaluation.alerts);
    }

    fn put(&self, alerts: Vec<Alert>) {
        if !alerts.is_empty() {
            self.notifications.put(alerts);
        }
    }

    /// Saves the alerts of the rules for the next process if they have changed, or if the last save is a minute old.
    fn save(&self, rules: &RuleGroups, now: UnixMs) {
        let state = rules.save(now.as_i64());
        let mut last = lock(&self.last_save);
        let is_due = now.saturating_since(last.at) >= SAVE_INTERVAL && !state.alerts.is_empty();
        if state.alerts == last.alerts && !is_due {
            return;
        }
        // The state holds only strings, numbers and maps, so serialization does not fail.
        if let Ok(bytes) = serde_json::to_vec(&state) {
            self.notifications.save_state(SAVED_RULES, bytes);
        }
        *last = LastSave {
            at: now,
            alerts: state.alerts,
        };
    }
}
