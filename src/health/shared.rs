//! The checks of an observatory, shared by the handles, the scheduler and the server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    CheckKind, CheckReport, CheckState, HealthChange, HealthConfig, HealthReport, Readiness,
    aggregate::{self, Verdict},
    check_thread::ThreadCount,
    entry::{Entry, Now},
    history::History,
    options::RUNTIME,
    runtime_watch::{RuntimeFinding, RuntimeWatch},
    state::RunOutcome,
};
use crate::{
    metrics::{Gatherer, catalog},
    runtime::{lock, own_thread::Executor},
};

/// The checks of an observatory with their states.
pub(super) struct Shared {
    pub(super) options: HealthConfig,
    pub(super) gatherer: Arc<Gatherer>,
    /// True if checks run.
    pub(super) is_on: bool,
    /// The runtime that was current when the observatory was built.
    pub(super) runtime: Option<tokio::runtime::Handle>,
    pub(super) checks: Mutex<BTreeMap<String, Arc<Entry>>>,
    pub(super) groups: Mutex<BTreeMap<String, Vec<String>>>,
    pub(super) readiness: Readiness,
    pub(super) threads: ThreadCount,
    /// Wakes the scheduler after a registration.
    pub(super) registered: Notify,
    pub(super) executor: Mutex<Option<Executor>>,
    /// True while the scheduler runs.
    pub(super) is_running: AtomicBool,
    pub(super) watch: OnceLock<Arc<dyn RuntimeWatch>>,
    watch_state: Mutex<(CheckState, Duration)>,
    history: Mutex<History>,
}

impl Shared {
    pub(super) fn new(
        options: HealthConfig,
        gatherer: Arc<Gatherer>,
        is_on: bool,
        runtime: Option<tokio::runtime::Handle>,
    ) -> Self {
        Self {
            groups: Mutex::new(options.groups.clone()),
            options,
            gatherer,
            is_on,
            runtime,
            checks: Mutex::default(),
            readiness: Readiness::new(),
            threads: ThreadCount::default(),
            registered: Notify::new(),
            executor: Mutex::new(None),
            is_running: AtomicBool::new(false),
            watch: OnceLock::new(),
            watch_state: Mutex::new((CheckState::Healthy, Duration::ZERO)),
            history: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let clock = &self.gatherer.clock;
        Now {
            monotonic: clock.monotonic(),
            wall: clock.wall(),
        }
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        lock(&self.checks).values().cloned().collect()
    }

    fn finding(&self) -> Option<RuntimeFinding> {
        self.watch.get().map(|watch| watch.finding())
    }

    /// Returns whether tasks may wait because the application's runtime is blocked.
    pub(super) fn is_runtime_blocked(&self) -> bool {
        self.finding().is_some_and(|finding| finding.is_blocked)
    }

    /// Returns the state of every check, by name, with the watchdog's finding.
    fn checks(&self, now: Now) -> Vec<CheckReport> {
        let entries = self.entries();
        let mut checks: Vec<_> = entries.iter().map(|entry| entry.report(now)).collect();
        if let Some(finding) = self.finding() {
            checks.push(watchdog(finding, now));
            checks.sort_by(|a, b| a.name.cmp(&b.name));
        }
        checks
    }

    /// Returns the report of the whole service.
    pub(super) fn whole(&self) -> HealthReport {
        let checks = self.checks(self.now());
        report(None, aggregate::whole(&checks), checks)
    }

    /// Returns the report of a group; `None` if there is no such group.
    pub(super) fn group(&self, name: &str) -> Option<HealthReport> {
        let checks = self.checks(self.now());
        let latch = self.readiness.state();
        let of = |checks, verdict: fn(&[CheckReport]) -> Verdict| {
            let checks: Vec<CheckReport> = checks;
            report(Some(name), verdict(&checks), checks)
        };
        let needed = || -> Vec<_> {
            let counts = |check: &&CheckReport| aggregate::counts_for_readiness(check);
            checks.iter().filter(counts).cloned().collect()
        };
        Some(match name {
            "live" => {
                let still = self.finding().and_then(|finding| finding.all_still_for);
                let verdict = aggregate::live(still, self.options.live_after);
                let watchdog = checks.into_iter();
                let watchdog = watchdog.filter(|check| check.kind == CheckKind::Watchdog);
                report(Some(name), verdict, watchdog.collect())
            }
            "ready" => {
                let checks = needed();
                report(Some(name), aggregate::ready(latch, &checks), checks)
            }
            "startup" => {
                let checks = needed();
                report(Some(name), aggregate::startup(latch, &checks), checks)
            }
            _ => {
                let members = lock(&self.groups).get(name)?.clone();
                let is_member = |check: &CheckReport| members.contains(&check.name);
                of(
                    checks.into_iter().filter(is_member).collect(),
                    aggregate::group,
                )
            }
        })
    }

    /// Records the outcome of a run in the check's state and in the metrics.
    pub(super) fn record(&self, entry: &Entry, outcome: RunOutcome, started: Duration) {
        let now = self.now();
        let registry = &self.gatherer.registry;
        let result = match &outcome {
            RunOutcome::Done(result) => result.status.as_str(),
            RunOutcome::NotRun(_) => "not_run",
        };
        let labels = [("check", entry.name.as_str()), ("result", result)];
        registry.counter(&catalog::HEALTH_RUNS, &labels).add(1);
        let took = now.monotonic.saturating_sub(started).as_secs_f64();
        let labels = [("check", entry.name.as_str())];
        let durations = registry.histogram(&catalog::HEALTH_DURATION, &labels);
        durations.cell.record(took);
        entry.record(outcome, started, now.monotonic);
        self.report_change(entry, now);
    }

    /// Reports the checks whose state has changed since the last report, by a result or by the expiry of a result.
    pub(super) fn report_changes(&self) {
        let now = self.now();
        for entry in self.entries() {
            self.report_change(&entry, now);
        }
        if let Some(finding) = self.finding() {
            let check = watchdog(finding, now);
            let mut state = lock(&self.watch_state);
            let (before, since) = *state;
            if before != check.status {
                *state = (check.status, now.monotonic);
                let lasted = now.monotonic.saturating_sub(since);
                self.change(&check, before, lasted, now);
            }
            self.set_status(&check);
        }
    }

    fn report_change(&self, entry: &Entry, now: Now) {
        let check = entry.report(now);
        if entry.is_removed() {
            return;
        }
        let change = entry.take_change(check.status, now.monotonic);
        if let Some((before, lasted)) = change {
            self.set_status(&check);
            self.change(&check, before, lasted, now);
        }
        // A removal between the test above and here has already stopped the metric.
        if entry.is_removed() {
            self.forget_status(&entry.name);
        }
    }

    fn set_status(&self, check: &CheckReport) {
        if let Some(status) = check.status.status() {
            let labels = [("check", check.name.as_str())];
            let registry = &self.gatherer.registry;
            registry.set(&catalog::HEALTH_STATUS, &labels, status.as_f64());
        }
    }

    /// Stops the metric of a removed check: a rule on it must not fire for ever. NaN is neither below nor above a limit.
    pub(super) fn forget_status(&self, name: &str) {
        let registry = &self.gatherer.registry;
        registry.set(&catalog::HEALTH_STATUS, &[("check", name)], f64::NAN);
    }

    fn change(&self, check: &CheckReport, from: CheckState, lasted: Duration, now: Now) {
        let (name, to, message) = (&check.name, check.status, &check.message);
        match to {
            // The usual first result.
            CheckState::Healthy if from == CheckState::Pending => {
                tracing::debug!(target: "llm_observatory", check = %name, "the health check {name} is healthy");
            }
            CheckState::Healthy | CheckState::Pending => {
                let seconds = lasted.as_secs();
                tracing::info!(
                    target: "llm_observatory", check = %name,
                    "the health check {name} is {} again, after {seconds} s of {}", to.as_str(), from.as_str()
                );
            }
            CheckState::Degraded | CheckState::Unhealthy => {
                let path = &self.options.endpoint;
                tracing::warn!(
                    target: "llm_observatory", check = %name,
                    "the health check {name} is {} ({message}); {path} shows all checks", to.as_str()
                );
            }
        }
        let change = HealthChange {
            check: name.clone(),
            from,
            to,
            at: now.wall,
            lasted,
            message: message.clone(),
        };
        lock(&self.history).push(change, self.options.max_history);
    }

    pub(super) fn history(&self) -> Vec<HealthChange> {
        lock(&self.history).all()
    }
}

fn report(group: Option<&str>, verdict: Verdict, checks: Vec<CheckReport>) -> HealthReport {
    HealthReport {
        group: group.map(str::to_owned),
        status: verdict.status,
        decided_by: verdict.decided_by,
        message: verdict.message,
        checks,
    }
}

/// Returns the watchdog's finding as a member of the report.
fn watchdog(finding: RuntimeFinding, now: Now) -> CheckReport {
    let began = now.monotonic.saturating_sub(finding.lasts);
    CheckReport {
        name: RUNTIME.to_owned(),
        kind: CheckKind::Watchdog,
        critical: false,
        status: finding.status.into(),
        message: finding.message,
        data: finding.data,
        since: now.wall_at(began),
        age: Some(Duration::ZERO),
        duration: None,
        last_success: None,
        consecutive_failures: 0,
        stale: false,
        is_not_run: false,
    }
}
