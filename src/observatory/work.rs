//! The working thread: samples the system, updates rates, evaluates alert rules, and logs notices.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::Core;
use crate::{
    metrics::catalog,
    runtime::{lock, own_thread::Joinable},
    system::Sampler,
};

/// The name of the thread; Linux shows fifteen characters of it.
pub(super) const NAME: &str = "obs-work";

/// The working thread, and the signal that stops it.
pub(super) struct Work {
    thread: Joinable,
    shutdown: Arc<ShutdownSignal>,
}

/// Wakes the thread when it has to stop.
#[derive(Default)]
struct ShutdownSignal {
    is_set: Mutex<bool>,
    changed: Condvar,
    /// The same flag for evaluations, which look at it without a lock.
    is_cancelled: AtomicBool,
}

impl ShutdownSignal {
    fn is_set(&self) -> bool {
        *lock(&self.is_set)
    }
}

impl Work {
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Self> {
        let shutdown = Arc::new(ShutdownSignal::default());
        let (core, signal) = (Arc::clone(core), Arc::clone(&shutdown));
        let state = WorkerState {
            #[cfg(feature = "health")]
            sampler: sampler(&core),
            #[cfg(not(feature = "health"))]
            sampler: core.config.health.enabled.then(Sampler::new),
            has_ticked: false,
        };
        let thread = Joinable::spawn(NAME, move || run(&core, &signal, state))?;
        Ok(Self { thread, shutdown })
    }

    /// Signals the thread to stop, without waiting for its end.
    pub(super) fn end(&self) {
        *lock(&self.shutdown.is_set) = true;
        self.shutdown.is_cancelled.store(true, Ordering::Relaxed);
        self.shutdown.changed.notify_all();
    }

    pub(super) fn join(self, deadline: Instant) {
        self.thread.join(deadline);
    }
}

#[cfg(feature = "health")]
fn sampler(core: &Core) -> Option<Sampler> {
    let runtimes = Arc::clone(core.watchdog.runtimes());
    core.config.health.enabled.then(|| Sampler::new(runtimes))
}

/// State that a tick keeps for the next tick.
struct WorkerState {
    sampler: Option<Sampler>,
    has_ticked: bool,
}

fn run(core: &Core, shutdown: &ShutdownSignal, mut state: WorkerState) {
    let mut due = core.gatherer.uptime();
    while !shutdown.is_set() {
        super::clock_step::follow(core);
        let now = core.gatherer.uptime();
        if now >= due {
            // A panic must not prevent the next tick.
            let ticked = catch_unwind(AssertUnwindSafe(|| tick(core, &mut state)));
            if ticked.is_err() {
                tracing::error!(target: "llm_observatory", "a tick of the observatory panicked; the next one will be tried");
            }
            due = next_due(due, core.gatherer.uptime(), core.config.tick);
        }
        #[cfg(feature = "alerting")]
        let until_evaluation = evaluate_alerts(core, &shutdown.is_cancelled);
        #[cfg(not(feature = "alerting"))]
        let until_evaluation = Duration::MAX;
        let until_tick = due.saturating_sub(core.gatherer.uptime());
        let wait = until_tick
            .min(until_evaluation)
            .max(Duration::from_millis(1));
        let is_set = lock(&shutdown.is_set);
        if !*is_set {
            let clock = &core.gatherer.clock;
            drop(clock.wait(is_set, &shutdown.changed, wait));
        }
    }
    core.filter_check
        .end(core.subscriber.get().as_ref(), &core.gatherer.registry);
    core.report_notices();
    // The events of the last second of a process often tell why it ends.
    #[cfg(feature = "alerting")]
    core.alerting.take_signals();
}

/// Evaluates the rules that are due; returns the time until the next evaluation.
#[cfg(feature = "alerting")]
fn evaluate_alerts(core: &Core, is_cancelled: &AtomicBool) -> Duration {
    /// The interval at which alerts of events are collected.
    const SIGNAL_INTERVAL: Duration = Duration::from_secs(1);
    let worked = catch_unwind(AssertUnwindSafe(|| core.alerting.work(is_cancelled)));
    if worked.is_err() {
        tracing::error!(target: "llm_observatory", "an evaluation of alert rules panicked; the next one will be tried");
    }
    let next = core.alerting.next_due();
    next.map_or(SIGNAL_INTERVAL, |next| next.min(SIGNAL_INTERVAL))
}

/// Returns the time of the tick after the tick that was due at `due`: an interval later, so that slow ticks do not move
/// the next ones. Missed ticks are skipped.
fn next_due(due: Duration, now: Duration, interval: Duration) -> Duration {
    let next = due + interval;
    if next + interval <= now { now } else { next }
}

fn tick(core: &Core, state: &mut WorkerState) {
    let clock = &core.gatherer.clock;
    let registry = &core.gatherer.registry;
    let start = clock.raw();
    if let Some(sampler) = &mut state.sampler {
        sampler.sample(registry, clock.monotonic());
    }
    core.gatherer.update_derived();
    crate::system::account_own_cpu(registry);
    // At the first tick, the subscriber may not be installed yet, and the notices would be lost.
    if std::mem::replace(&mut state.has_ticked, true) {
        core.report_notices();
    }
    #[cfg(feature = "alerting")]
    {
        core.alerting.tick();
        core.queries.collect();
    }
    core.filter_check.tick();
    let duration = clock.between(start, clock.raw());
    registry
        .histogram(&catalog::TICK_DURATION, &[])
        .cell
        .record(duration.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_their_interval_and_missed_ticks_are_skipped() {
        let at = Duration::from_secs;
        let next = |due, now| next_due(at(due), at(now), at(10));
        assert_eq!(next(10, 10), at(20));
        assert_eq!(next(10, 19), at(20), "a slow tick does not move the next");
        assert_eq!(next(10, 25), at(20), "one that is late comes at once");
        assert_eq!(next(10, 95), at(95), "many that are late are one");
    }
}
