//! The thread of the watchdog: ticks, and passes findings to metrics, log and hooks.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use super::{
    Condition, Finding, Watchdog,
    judge::Limits,
    observer::{Changes, Observer},
    shared::Shared,
};
use crate::{
    layer::Watch,
    metrics::{Registry, catalog},
    runtime::{coarse_clock, own_thread::Joinable, report_once::ReportOnce},
};

/// The name of the thread; Linux shows fifteen characters of it.
const NAME: &str = "obs-watch";
/// The interval at which the thread dates the exits of open spans.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// The interval at which the thread reports its own CPU time.
const CPU_INTERVAL: Duration = Duration::from_secs(5);
/// The interval at which the log repeats a finding of the same worker.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The running thread. Dropping the sender stops it.
pub(crate) struct WatchdogThread {
    thread: Joinable,
    stop: mpsc::Sender<()>,
}

impl WatchdogThread {
    pub(crate) const NAME: &str = NAME;

    /// Starts the thread; returns `None` if the watchdog is off.
    pub(crate) fn start(watchdog: &Watchdog) -> io::Result<Option<Self>> {
        let shared = Arc::clone(watchdog.shared());
        let Some(watch) = shared.parts.watch.clone() else {
            return Ok(None);
        };
        let (stop, stopped) = mpsc::channel();
        let thread = Joinable::spawn(NAME, move || run(&shared, &watch, &stopped))?;
        Ok(Some(Self { thread, stop }))
    }

    pub(crate) fn stop(self, deadline: Instant) {
        drop(self.stop);
        self.thread.join(deadline);
    }
}

fn run(shared: &Shared, watch: &Arc<Watch>, stopped: &mpsc::Receiver<()>) {
    let parts = &shared.parts;
    let interval = parts.options.interval;
    let now = || Duration::from_millis(coarse_clock::advance());
    let start = now();
    let mut observer = Observer::new(
        Limits::of(&parts.options),
        Arc::clone(watch),
        parts.spans.clone(),
        Arc::clone(&parts.runtimes),
        start,
    );
    let mut outputs = Outputs::new(parts.registry.clone());
    let (mut next_scan, mut next_cpu) = (start, start);
    while stopped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
        let now = now();
        // A panic must not prevent the next tick.
        let ticked = catch_unwind(AssertUnwindSafe(|| {
            let changes = observer.tick(now);
            outputs.write(shared, &observer, &changes, now);
        }));
        if ticked.is_err() {
            tracing::error!(target: "llm_observatory", "a tick of the watchdog panicked; the next one will be tried");
        }
        if now >= next_scan {
            watch.date_exits();
            next_scan = now + SCAN_INTERVAL;
        }
        if now >= next_cpu {
            crate::system::account_own_cpu(&parts.registry);
            next_cpu = now + CPU_INTERVAL;
        }
    }
    shared.set(Vec::new());
    outputs.write_gauges(&[]);
}

/// The outputs beside the hooks.
struct Outputs {
    registry: Registry,
    logged: ReportOnce<(String, Option<usize>)>,
    had_findings: bool,
}

impl Outputs {
    fn new(registry: Registry) -> Self {
        for condition in Condition::ALL {
            let labels = [("condition", condition.as_str())];
            registry.counter(&catalog::WATCHDOG_FINDINGS, &labels);
        }
        registry.counter(&catalog::WATCHDOG_LATE, &[]);
        let outputs = Self {
            registry,
            logged: ReportOnce::new(LOG_INTERVAL),
            had_findings: false,
        };
        outputs.write_gauges(&[]);
        outputs
    }

    fn write(&mut self, shared: &Shared, observer: &Observer, changes: &Changes, now: Duration) {
        if changes.was_late {
            let late = self.registry.counter(&catalog::WATCHDOG_LATE, &[]);
            late.add(1);
            return;
        }
        let findings: Vec<Finding> = observer.findings().cloned().collect();
        if !findings.is_empty() || self.had_findings {
            self.had_findings = !findings.is_empty();
            self.write_gauges(&findings);
            shared.set(findings);
        }
        for finding in &changes.begun {
            let labels = [("condition", finding.condition.as_str())];
            self.registry
                .counter(&catalog::WATCHDOG_FINDINGS, &labels)
                .add(1);
            self.log(finding, now);
            shared.call_hooks(finding);
        }
        for finding in &changes.ended {
            self.log(finding, now);
            shared.call_hooks(finding);
        }
    }

    fn log(&mut self, finding: &Finding, now: Duration) {
        let part = (finding.runtime.clone(), finding.worker);
        let problem = if finding.is_over {
            "over"
        } else {
            finding.condition.as_str()
        };
        if !self.logged.is_due(part, problem, now) {
            return;
        }
        if finding.condition == Condition::Starved || finding.is_over {
            tracing::info!(target: "llm_observatory", "{finding}");
        } else {
            tracing::warn!(target: "llm_observatory", "{finding}; move blocking work to tokio::task::spawn_blocking");
        }
    }

    fn write_gauges(&self, findings: &[Finding]) {
        for condition in Condition::ALL {
            let all = findings.iter();
            let count = all.filter(|finding| finding.condition == condition).count();
            let labels = [("condition", condition.as_str())];
            self.registry
                .set(&catalog::WATCHDOG_STUCK, &labels, count as f64);
        }
        let stuck = findings
            .iter()
            .filter(|finding| finding.condition > Condition::Starved);
        let longest = stuck.map(|finding| finding.duration).max();
        self.registry.set(
            &catalog::RUNTIME_BLOCKED,
            &[],
            longest.unwrap_or_default().as_secs_f64(),
        );
    }
}
