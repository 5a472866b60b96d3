//! The thread that works: at each tick it samples the system, keeps rates, and says what is to be said.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tracing::Dispatch;

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
        let sampler = core.config.health.enabled.then(Sampler::new);
        let thread = std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                own_thread::mark();
                run(&core, &heard, sampler);
            })?;
        Ok(Self { thread, bell })
    }

    pub(super) fn end(&self) {
        *self
            .bell
            .is_rung
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.rung.notify_all();
    }

    pub(super) fn into_thread(self) -> JoinHandle<()> {
        self.thread
    }
}

fn run(core: &Core, bell: &Bell, mut sampler: Option<Sampler>) {
    let mut due = core.now();
    let mut has_asked = false;
    while !bell.is_rung() {
        let now = core.now();
        if now >= due {
            // Whatever a tick does, the next one comes.
            let ticked = catch_unwind(AssertUnwindSafe(|| {
                tick(core, sampler.as_mut(), &mut has_asked);
            }));
            if ticked.is_err() {
                tracing::error!(target: "llm_observatory", "a tick of the observatory panicked; the next one will be tried");
            }
            due = core.now() + core.config.tick;
        }
        let wait = due.saturating_sub(core.now()).max(Duration::from_millis(1));
        let is_rung = bell.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_rung {
            drop(core.clock.wait(is_rung, &bell.rung, wait));
        }
    }
}

fn tick(core: &Core, sampler: Option<&mut Sampler>, has_asked: &mut bool) {
    let start = core.clock.raw();
    if let Some(sampler) = sampler {
        sampler.sample(&core.registry);
    }
    core.derived.update(&core.registry, core.now());
    core.own_cpu.update(&core.registry);
    for notice in core.registry.diagnostics().take_notices() {
        tracing::warn!(target: "llm_observatory", "{notice}");
    }
    // The subscriber may come after the observatory; whenever it does, it is asked once.
    if !*has_asked && let Some(dispatch) = core.subscriber.get() {
        *has_asked = true;
        warn_of_filters(core, &dispatch);
    }
    let duration = core.clock.between(start, core.clock.raw());
    core.registry
        .histogram(&catalog::TICK_DURATION, &[])
        .cell
        .record(duration.as_secs_f64());
}

/// Says, once, if a filter of the subscriber hides the spans that metrics come from.
fn warn_of_filters(core: &Core, dispatch: &Dispatch) {
    let hidden = tracing::dispatcher::with_default(dispatch, hidden_kinds);
    if !hidden.is_empty() {
        tracing::error!(
            target: "llm_observatory",
            "a filter of the subscriber hides INFO spans of unknown targets (RUST_LOG is {:?}), so these kinds are not measured, unless it names your own crates: {}; put the filter on the log's layer alone (layer.with_filter(…)), or let INFO spans through",
            core.config.log_filter,
            hidden.join(", "),
        );
    }
}
