//! Makes the attempts of a check, each in its place and within its timeout.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Handle, Runtime},
    task::JoinHandle,
    time::timeout,
};

use super::{
    CheckResult, HealthStatus,
    check::{Attempt, Work},
    check_thread::{CheckThread, CountedThread, panicked},
    plan::Plan,
    state::RunOutcome,
};
use crate::runtime::{lock, random::random_unit};

const BLOCKED: &str = "the runtime is blocked";
const HANGS: &str = "an earlier attempt has not ended";

/// Makes the attempts of one check.
pub(super) enum Runner {
    Task {
        work: Arc<dyn Fn() -> Attempt + Send + Sync>,
        /// The application's runtime; `None` runs the work on the thread of the observatory.
        runtime: Option<Handle>,
        /// An attempt that has not ended within its timeout.
        hanging: Mutex<Option<Task>>,
    },
    Thread(CheckThread),
}

/// An attempt of a check on a runtime.
pub(super) struct Task {
    handle: JoinHandle<CheckResult>,
    has_begun: Arc<AtomicBool>,
}

impl Runner {
    /// Returns whether a check needs a thread of its own.
    pub(super) fn needs_thread(work: &Work, runtime: Option<&Handle>) -> bool {
        match work {
            Work::Own(_) => false,
            Work::Application(_) => runtime.is_none(),
            Work::Blocking(..) => true,
        }
    }

    pub(super) fn new(
        work: Work,
        runtime: Option<Handle>,
        thread: Option<CountedThread>,
    ) -> io::Result<Self> {
        let task = |work, runtime| Self::Task {
            work,
            runtime,
            hanging: Mutex::new(None),
        };
        Ok(match (work, runtime) {
            (Work::Own(work), _) => task(work, None),
            (Work::Application(work), Some(runtime)) => task(work, Some(runtime)),
            (Work::Application(work), None) => {
                // Built on the thread itself, since a runtime must not be dropped on a thread of another runtime.
                let mut runtime = None;
                let check = move || match current_thread(&mut runtime) {
                    Ok(runtime) => runtime.block_on(work()),
                    Err(error) => CheckResult::unhealthy(format!("no runtime: {error}")),
                };
                Self::Thread(CheckThread::start(thread, None, check)?)
            }
            (Work::Blocking(check, hint), _) => {
                Self::Thread(CheckThread::start(thread, hint, move || check())?)
            }
        })
    }

    /// Makes the attempts of one run: retries after a failed attempt, as often as the plan allows.
    pub(super) async fn run(
        &self,
        plan: &Plan,
        is_blocked: &(dyn Fn() -> bool + Sync),
    ) -> RunOutcome {
        let mut failures = 0;
        loop {
            let outcome = self.attempt(plan.timeout, is_blocked).await;
            match &outcome {
                RunOutcome::Done(result) if result.status == HealthStatus::Unhealthy => {}
                RunOutcome::Done(_) | RunOutcome::NotRun(_) => return outcome,
            }
            failures += 1;
            if failures > plan.retries {
                return outcome;
            }
            tokio::time::sleep(plan.backoff.wait(failures, random_unit())).await;
        }
    }

    async fn attempt(&self, limit: Duration, is_blocked: &(dyn Fn() -> bool + Sync)) -> RunOutcome {
        let (work, runtime, hanging) = match self {
            Self::Thread(thread) => return RunOutcome::Done(thread.attempt(limit).await),
            Self::Task {
                work,
                runtime,
                hanging,
            } => (work, runtime, hanging),
        };
        if let Some(outcome) = hanging_outcome(hanging) {
            return outcome;
        }
        let has_begun = Arc::new(AtomicBool::new(false));
        let (work, begins) = (Arc::clone(work), Arc::clone(&has_begun));
        // The closure runs inside the task, too: it may block or panic.
        let future = async move {
            begins.store(true, Ordering::Release);
            work().await
        };
        let mut handle = match runtime {
            Some(runtime) => runtime.spawn(future),
            None => tokio::spawn(future),
        };
        match timeout(limit, &mut handle).await {
            Ok(Ok(result)) => RunOutcome::Done(result),
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => RunOutcome::Done(panicked(panic.as_ref())),
                Err(_) => RunOutcome::NotRun("the runtime has shut down".to_owned()),
            },
            Err(_) => {
                // Ends the attempt at its next await, if it reaches it.
                handle.abort();
                let has_begun_now = has_begun.load(Ordering::Acquire);
                *lock(hanging) = Some(Task { handle, has_begun });
                if !has_begun_now || is_blocked() {
                    return RunOutcome::NotRun(BLOCKED.to_owned());
                }
                RunOutcome::Done(CheckResult::unhealthy(format!(
                    "no answer within {limit:?}"
                )))
            }
        }
    }
}

/// Returns the runtime of a check's own thread.
fn current_thread(runtime: &mut Option<Runtime>) -> io::Result<&Runtime> {
    if runtime.is_none() {
        *runtime = Some(
            tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?,
        );
    }
    runtime.as_ref().ok_or_else(|| io::ErrorKind::Other.into())
}

/// Returns the outcome of a run while an earlier attempt has not ended.
fn hanging_outcome(hanging: &Mutex<Option<Task>>) -> Option<RunOutcome> {
    let mut hanging = lock(hanging);
    let task = hanging.take()?;
    if task.handle.is_finished() {
        return None;
    }
    let has_begun = task.has_begun.load(Ordering::Acquire);
    *hanging = Some(task);
    Some(if has_begun {
        RunOutcome::Done(CheckResult::unhealthy(HANGS))
    } else {
        RunOutcome::NotRun(BLOCKED.to_owned())
    })
}
