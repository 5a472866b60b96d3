//! The thread that works: at each tick it samples the system, keeps rates, and says what is to be said.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::Core;
use crate::{layer::hidden_kinds, metrics::catalog, own_thread, system::Sampler};

/// Its name; Linux shows fifteen characters of it.
pub(super) const NAME: &str = "obs-work";

/// The thread, and what wakes it.
pub(super) struct Work {
    thread: JoinHandle<()>,
    bell: Arc<Bell>,
}

/// Rung when the thread is to end.
#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
    /// The same, for whoever looks in the midst of work.
    is_ending: AtomicBool,
}

impl Bell {
    fn is_rung(&self) -> bool {
        *self.is_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Self> {
        let bell = Arc::new(Bell::default());
        let (core, heard) = (Arc::clone(core), Arc::clone(&bell));
        // Made here, not there: it looks at the runtime that this is called in.
        let hands = Hands {
            sampler: core.config.health.enabled.then(Sampler::new),
            question: Question::default(),
            has_ticked: false,
        };
        let thread = std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                own_thread::mark();
                run(&core, &heard, hands);
            })?;
        Ok(Self { thread, bell })
    }

    pub(super) fn end(&self) {
        *self
            .bell
            .is_rung
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.is_ending.store(true, Ordering::Relaxed);
        self.bell.rung.notify_all();
    }

    pub(super) fn into_thread(self) -> JoinHandle<()> {
        self.thread
    }
}

/// What a tick works with.
struct Hands {
    sampler: Option<Sampler>,
    question: Question,
    has_ticked: bool,
}

fn run(core: &Core, bell: &Bell, mut hands: Hands) {
    let mut due = core.now();
    while !bell.is_rung() {
        let now = core.now();
        if now >= due {
            // Whatever a tick does, the next one comes.
            let ticked = catch_unwind(AssertUnwindSafe(|| {
                tick(core, &mut hands);
            }));
            if ticked.is_err() {
                tracing::error!(target: "llm_observatory", "a tick of the observatory panicked; the next one will be tried");
            }
            due = next_due(due, core.now(), core.config.tick);
        }
        #[cfg(feature = "alerting")]
        let wait = alerts(core, &bell.is_ending).min(due.saturating_sub(core.now()));
        #[cfg(not(feature = "alerting"))]
        let wait = due.saturating_sub(core.now());
        let wait = wait.max(Duration::from_millis(1));
        let is_rung = bell.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_rung {
            drop(core.clock.wait(is_rung, &bell.rung, wait));
        }
    }
    core.say_notices();
    // What was said in the last second of a process is often why it ends.
    #[cfg(feature = "alerting")]
    core.alerting.take_signals(core);
}

/// Evaluates what is due; returns the time until something is again.
#[cfg(feature = "alerting")]
fn alerts(core: &Core, is_ending: &AtomicBool) -> Duration {
    /// What events say of alerts is looked for so often.
    const SIGNALS: Duration = Duration::from_secs(1);
    let worked = catch_unwind(AssertUnwindSafe(|| core.alerting.work(core, is_ending)));
    if worked.is_err() {
        tracing::error!(target: "llm_observatory", "an evaluation of alert rules panicked; the next one will be tried");
    }
    let now = super::milliseconds(core.clock.wall());
    let next = core.alerting.next_due(now).map_or(SIGNALS, |next| {
        Duration::from_millis(next.saturating_sub(now).max(0).unsigned_abs())
    });
    next.min(SIGNALS)
}

/// When the tick after the one that was due at `due` is due: an interval later, so that ticks keep their distance
/// however long each takes. What was missed meanwhile is left out.
fn next_due(due: Duration, now: Duration, interval: Duration) -> Duration {
    let next = due + interval;
    if next + interval <= now { now } else { next }
}

fn tick(core: &Core, hands: &mut Hands) {
    let start = core.clock.raw();
    if let Some(sampler) = &mut hands.sampler {
        sampler.sample(&core.registry);
    }
    core.derived.update(&core.registry, core.now());
    crate::system::account_own_cpu(&core.registry);
    // At the first tick the subscriber may just be on its way to being global: nobody would hear it.
    if std::mem::replace(&mut hands.has_ticked, true) {
        core.say_notices();
    }
    #[cfg(feature = "alerting")]
    {
        core.alerting.tick(core);
        core.query.collect(core);
    }
    hands.question.ask(core);
    let duration = core.clock.between(start, core.clock.raw());
    core.registry
        .histogram(&catalog::TICK_DURATION, &[])
        .cell
        .record(duration.as_secs_f64());
}

/// Whether a filter of the subscriber hides the spans that metrics come from; asked once.
#[derive(Default)]
struct Question {
    was_subscriber_there: bool,
    is_asked: bool,
}

impl Question {
    /// Asks at the second tick that finds a subscriber: at the first it may just be on its way to being global.
    fn ask(&mut self, core: &Core) {
        let Some(subscriber) = core.subscriber.get().filter(|_| !self.is_asked) else {
            return;
        };
        if !std::mem::replace(&mut self.was_subscriber_there, true) {
            return;
        }
        self.is_asked = true;
        // Only where the global subscriber does not let them through is ours asked by itself: a scoped one takes
        // tracing's fast path from the whole process while it is there.
        if hidden_kinds().is_empty() {
            return;
        }
        let hidden = tracing::dispatcher::with_default(&subscriber, hidden_kinds);
        if !hidden.is_empty() {
            warn_of_filter(core, &hidden);
        }
    }
}

fn warn_of_filter(core: &Core, hidden: &[&str]) {
    tracing::error!(
        target: "llm_observatory",
        "a filter of the subscriber hides INFO spans of unknown targets (RUST_LOG is {:?}), so these kinds are not measured, unless it names your own crates: {}; put the filter on the log's layer alone (layer.with_filter(…)), or let INFO spans through",
        core.config.log_filter,
        hidden.join(", "),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_their_distance_and_missed_ones_are_left_out() {
        let at = Duration::from_secs;
        let next = |due, now| next_due(at(due), at(now), at(10));
        assert_eq!(next(10, 10), at(20));
        assert_eq!(next(10, 19), at(20), "a slow tick does not move the next");
        assert_eq!(next(10, 25), at(20), "one that is late comes at once");
        assert_eq!(next(10, 95), at(95), "many that are late are one");
    }
}
