//! Records samples until a duration has passed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use stack_sampler::{Counters, Module, Options, Session};

use crate::{profiler::ProfilerError, runtime::thread_label};

/// The interval at which the ring of the sampler is emptied.
const DRAIN_INTERVAL: Duration = Duration::from_millis(50);
/// The maximum number of different stacks; further stacks are counted as lost.
const MAX_STACKS: usize = 100_000;

/// A stack of a thread with a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LabelledStack {
    pub(super) label: u64,
    pub(super) thread: i32,
    /// Innermost first.
    pub(super) addresses: Vec<u64>,
}

/// The samples of a profile.
pub(in crate::profiler) struct Recorded {
    pub(super) stacks: HashMap<LabelledStack, u64>,
    /// The names of the threads that were seen.
    pub(super) threads: HashMap<i32, String>,
    pub(super) modules: Vec<Module>,
    pub(super) counters: Counters,
    /// Samples beyond the maximum number of different stacks.
    pub(super) lost_stacks: u64,
    pub(super) duration: Duration,
    pub(super) cpu_time: Duration,
    /// False if another profiler has replaced the signal handler.
    pub(super) has_signal: bool,
}

/// Records until `duration` has passed or `is_cancelled` returns true.
pub(in crate::profiler) fn record_samples(
    frequency_hz: u32,
    duration: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Recorded, ProfilerError> {
    let options = Options {
        frequency_hz,
        label: thread_label::get,
    };
    let mut session = Session::start(options)?;
    let (start, cpu_start) = (Instant::now(), process_time());
    let mut recorded = Recorded {
        stacks: HashMap::new(),
        threads: HashMap::new(),
        modules: session.modules().to_vec(),
        counters: Counters::default(),
        lost_stacks: 0,
        duration: Duration::ZERO,
        cpu_time: Duration::ZERO,
        has_signal: true,
    };
    loop {
        let elapsed = start.elapsed();
        let remaining = duration.saturating_sub(elapsed);
        if remaining.is_zero() || is_cancelled() {
            session.pause();
            recorded.drain(&mut session);
            recorded.counters = session.counters();
            recorded.duration = elapsed;
            recorded.cpu_time = process_time().saturating_sub(cpu_start);
            recorded.has_signal = session.has_signal();
            return Ok(recorded);
        }
        std::thread::sleep(remaining.min(DRAIN_INTERVAL));
        recorded.drain(&mut session);
    }
}

impl Recorded {
    fn drain(&mut self, session: &mut Session) {
        session.drain(|sample| {
            self.threads
                .entry(sample.thread)
                .or_insert_with(|| thread_name(sample.thread));
            let stack = LabelledStack {
                label: sample.label,
                thread: sample.thread,
                addresses: sample.frames,
            };
            if let Some(count) = self.stacks.get_mut(&stack) {
                *count += 1;
            } else if self.stacks.len() < MAX_STACKS {
                self.stacks.insert(stack, 1);
            } else {
                self.lost_stacks += 1;
            }
        });
    }
}

/// Returns the name of a thread, which may have ended.
fn thread_name(thread: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    name.map_or_else(|_| "(ended)".to_owned(), |name| name.trim_end().to_owned())
}

/// Returns the CPU time of the process.
fn process_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
