//! Runs alerting for an observatory: assembles rules and channels, evaluates rules, and counts both in its metrics.
//!
//! The working thread evaluates the rules that are due and passes their alerts to [`Notifications`]. A second thread
//! runs the [`Runner`] of the notifications, so that an evaluation delays no message, and a slow receiver delays no
//! evaluation.

mod api;
mod assemble;
mod change;
mod counts;
mod raised;
mod signals;
mod thread;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use self::raised::Raised;
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
use crate::{
    alerting::{
        Alert, ClosureThreads, Evaluation, Notifications, RuleGroups, Runner, SavedRuleAlert,
        SavedRuleAlerts, Source, TraceLink, TraceLookup,
    },
    metrics::collect::{Queries, exemplars},
    privacy::Redaction,
    query::engine::Control,
};

/// The name under which the alerts of rules are kept.
const SAVED_RULES: &str = "rules";
/// Milliseconds between two saves of alerts that did not change: a restart must know that the outage was short.
const SAVE_INTERVAL: i64 = 60_000;

/// Time that a rule's closure may take; one that takes longer is its rule's error.
const CLOSURE_PATIENCE: Duration = Duration::from_secs(1);

/// The parts of the observatory that alerting uses.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) queries: Arc<Queries>,
    pub(crate) redaction: Arc<Redaction>,
    /// Labels that every series gets.
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}

/// Rules, alerts and notifications of one observatory.
pub(crate) struct Alerting {
    context: Context,
    rules: Mutex<RuleGroups>,
    raised: Mutex<Raised>,
    notifications: Notifications,
    /// Until it is started.
    runner: Mutex<Option<Runner>>,
    signals: Signals,
    routes: assemble::Routes,
    saved: Mutex<Saved>,
    said: Mutex<counts::Said>,
    /// Held while routes are made of rules and put to use: of two changes at once, the later one counts.
    routing: Mutex<()>,
    link: TraceLink,
    is_on: bool,
}

/// What was saved last.
#[derive(Default)]
struct Saved {
    at: i64,
    alerts: Vec<SavedRuleAlert>,
}

impl Alerting {
    /// Puts rules and channels together, and goes on from where the last process was.
    pub(crate) fn new(assembled: Assembled) -> Self {
        let Assembled {
            context,
            mut rules,
            notifications,
            runner,
            signals,
            routes,
            link,
            is_on,
        } = assembled;
        let saved = notifications
            .saved_state(SAVED_RULES)
            .and_then(|bytes| serde_json::from_slice::<SavedRuleAlerts>(&bytes).ok());
        if let Some(saved) = saved {
            let over = rules.restore(&saved, context.queries.now_ms());
            notifications.put(over);
        }
        Self {
            context,
            rules: Mutex::new(rules),
            raised: Mutex::new(Raised::new(link.clone())),
            notifications,
            runner: Mutex::new(Some(runner)),
            signals,
            routes,
            saved: Mutex::default(),
            said: Mutex::default(),
            routing: Mutex::default(),
            link,
            is_on,
        }
    }

    /// Starts to send; `None` where alerting is off.
    pub(crate) fn start(&self) -> std::io::Result<Option<Notifying>> {
        if !self.is_on {
            return Ok(None);
        }
        let first = lock(&self.runner).take();
        let runner = first.unwrap_or_else(|| self.notifications.runner());
        Notifying::start(runner).map(Some)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, RuleGroups> {
        lock(&self.rules)
    }

    pub(crate) fn raised(&self) -> MutexGuard<'_, Raised> {
        lock(&self.raised)
    }

    pub(crate) const fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// The time until the next evaluation is due; `None` without rules.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if !self.is_on {
            return None;
        }
        let now = self.context.queries.now_ms();
        let next = self.rules().next_evaluation(now)?;
        Some(Duration::from_millis(
            next.saturating_sub(now).max(0).unsigned_abs(),
        ))
    }

    /// Takes in what the application has raised, and evaluates the rules that are due, until it is to end.
    pub(crate) fn work(&self, is_ending: &AtomicBool) {
        if !self.is_on {
            return;
        }
        self.take_signals();
        let Context {
            queries, redaction, ..
        } = &self.context;
        let gatherer = &queries.gatherer;
        let now = queries.now_ms();
        {
            // Under the lock, so that what is taken back meanwhile is not overtaken.
            let mut raised = self.raised();
            self.put(raised.again(now));
            raised.write_when_due(&queries.store, now);
        }
        let start = gatherer.uptime();
        let clock = || gatherer.uptime();
        let control = Control {
            clock: Some(&clock),
            cancel: Some(is_ending),
        };
        let find = |selector: &[_], labels: &_, times: &_| {
            exemplars::most_telling_trace(&gatherer.registry, selector, labels, times)
        };
        let source = Source::new(&queries.engine, &queries.store)
            .with_control(control)
            .with_closure_threads(ClosureThreads {
                store: &queries.store,
                timeout: CLOSURE_PATIENCE,
            })
            .with_redaction(redaction)
            .with_trace_lookup(TraceLookup {
                find: &find,
                link: &self.link,
            });
        let mut rules = self.rules();
        let evaluation = rules.evaluate_due(&source, now);
        let took = gatherer.uptime().saturating_sub(start);
        if evaluation.rules > 0 {
            self.save(&rules, now);
            counts::evaluated(&gatherer.registry, &evaluation, took);
        }
        // Under the rules' lock: a rule that is removed meanwhile ends its alerts after this, not before.
        self.tell(evaluation, gatherer.uptime());
        drop(rules);
        self.notifications.wake();
    }

    /// Does what events have said of alerts since this was last asked.
    pub(crate) fn take_signals(&self) {
        let now = self.context.queries.now_ms();
        for signal in self.signals.take() {
            if signal.is_over {
                self.take_back(&signal, now);
            } else if let Err(error) = self.signalled(&signal, now) {
                tracing::warn!(target: "llm_observatory", "an event speaks of an alert: {error}");
            }
        }
    }

    /// Whether rules are evaluated.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Shows how things are.
    pub(crate) fn tick(&self) {
        if !self.is_on {
            return;
        }
        counts::show(&self.context.queries.gatherer.registry, self);
    }

    fn tell(&self, evaluation: Evaluation, now: Duration) {
        let mut said = lock(&self.said);
        for failure in &evaluation.failures {
            if said.is_news(failure, now) {
                tracing::warn!(
                    target: "llm_observatory",
                    "the alert rule {} of group {} failed: {}",
                    failure.rule,
                    failure.group,
                    failure.error
                );
            }
        }
        drop(said);
        self.put(evaluation.alerts);
    }

    fn put(&self, alerts: Vec<Alert>) {
        if !alerts.is_empty() {
            self.notifications.put(alerts);
        }
    }

    /// Keeps the alerts for the next process, where they changed or it is time to say that they did not.
    fn save(&self, rules: &RuleGroups, now: i64) {
        let state = rules.save(now);
        let mut saved = lock(&self.saved);
        let is_due = now.saturating_sub(saved.at) >= SAVE_INTERVAL && !state.alerts.is_empty();
        if state.alerts == saved.alerts && !is_due {
            return;
        }
        // Strings, numbers and maps of them: there is nothing that could fail.
        if let Ok(bytes) = serde_json::to_vec(&state) {
            self.notifications.save_state(SAVED_RULES, bytes);
        }
        *saved = Saved {
            at: now,
            alerts: state.alerts,
        };
    }
}

/// Locks a mutex. A panic of another thread leaves the value as it was between two changes, so it stays in use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
