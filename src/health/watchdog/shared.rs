//! The handle of the watchdog: its findings, its runtimes, and the hooks of others.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{Condition, Finding, WatchdogConfig};
use crate::{
    layer::{SpanReader, Watch},
    metrics::Registry,
    runtime::lock,
    system::{MAIN, Runtimes},
};

/// The watchdog of an observatory. Clones share it.
///
/// ```no_run
/// # use llm_observatory::{Config, Observatory};
/// let observatory = Observatory::install(Config::load()?)?;
/// let batch = tokio::runtime::Runtime::new()?;
/// observatory.watchdog().register_runtime("batch", batch.handle());
/// observatory.watchdog().on_finding(|finding| eprintln!("{finding}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Watchdog(Arc<Shared>);

/// The parts that a watchdog reads and writes.
pub(crate) struct WatchdogParts {
    pub(crate) options: WatchdogConfig,
    /// `None` if the watchdog is off.
    pub(crate) watch: Option<Arc<Watch>>,
    pub(crate) spans: SpanReader,
    pub(crate) runtimes: Arc<Runtimes>,
    pub(crate) registry: Registry,
}

pub(super) struct Shared {
    pub(super) parts: WatchdogParts,
    findings: Mutex<Vec<Finding>>,
    hooks: Mutex<Vec<Hook>>,
}

/// A receiver of findings.
type Hook = Arc<dyn Fn(&Finding) + Send + Sync>;

impl Watchdog {
    pub(crate) fn new(parts: WatchdogParts) -> Self {
        Self(Arc::new(Shared {
            parts,
            findings: Mutex::default(),
            hooks: Mutex::default(),
        }))
    }

    /// Returns whether the watchdog is on. It judges while the observatory runs.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.parts.watch.is_some()
    }

    /// Watches a further runtime, and samples its numbers under the label `runtime`. The runtime that is current when the
    /// observatory starts needs no registration; its name is `main`. A registration replaces a runtime of the same name. At
    /// most 16 runtimes are watched; a further one is reported in the log.
    pub fn register_runtime(&self, name: impl Into<String>, runtime: &Handle) {
        let name = name.into();
        if !self.0.parts.runtimes.add(&name, runtime) {
            tracing::warn!(target: "llm_observatory", "the runtime {name} is not watched: 16 runtimes are; replace one of them by registering its name again");
        }
    }

    pub(crate) fn runtimes(&self) -> &Arc<Runtimes> {
        &self.0.parts.runtimes
    }

    /// Returns the workers and threads that do not make progress, as of the last tick.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        lock(&self.0.findings).clone()
    }

    /// Calls `hook` for each finding when it begins, when its condition or its span changes, and when it
    /// [ends](Finding::is_over). The hook runs on the watchdog's thread, and delays the watchdog while it runs.
    pub fn on_finding(&self, hook: impl Fn(&Finding) + Send + Sync + 'static) {
        lock(&self.0.hooks).push(Arc::new(hook));
    }

    /// Returns the time for which all workers of the main runtime have been blocked or stalled; `None` if a worker makes
    /// progress.
    #[must_use]
    pub fn standstill(&self) -> Option<Duration> {
        let main = self.0.parts.runtimes.named(MAIN)?;
        let findings = lock(&self.0.findings);
        let stuck = findings.iter().filter(|finding| {
            finding.worker.is_some()
                && finding.runtime == MAIN
                && finding.condition > Condition::Starved
        });
        let durations: Vec<_> = stuck.map(|finding| finding.duration).collect();
        let are_all = durations.len() >= main.metrics().num_workers();
        durations.into_iter().min().filter(|_| are_all)
    }

    /// Returns the table of entered and open spans, and the reader of spans; `None` if the watchdog is off.
    pub(in crate::health) fn tables(&self) -> Option<(&Watch, &SpanReader)> {
        let parts = &self.0.parts;
        Some((parts.watch.as_deref()?, &parts.spans))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Shared {
    pub(super) fn set(&self, findings: Vec<Finding>) {
        *lock(&self.findings) = findings;
    }

    /// Calls each hook; a hook that panics affects no other.
    pub(super) fn call_hooks(&self, finding: &Finding) {
        let hooks = lock(&self.hooks).clone();
        for hook in hooks {
            if catch_unwind(AssertUnwindSafe(|| hook(finding))).is_err() {
                tracing::error!(target: "llm_observatory", "a hook of the watchdog panicked; the other hooks are called");
            }
        }
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("is_enabled", &self.is_enabled())
            .field("findings", &self.findings().len())
            .finish_non_exhaustive()
    }
}
