//! Turns the readings of a tick into findings: begun, continued and ended.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    Condition, Finding,
    finding::FindingSpan,
    judge::{Limits, SlotReading, Verdict, WorkerReading, WorkerState, judge_thread},
    process_threads,
};
use crate::{
    layer::{SpanReader, ThreadReading, Watch, runtime_key},
    system::Runtimes,
};

/// Max findings at a time.
const MAX_FINDINGS: usize = 256;
/// Max spans of a finding.
const MAX_SPANS: usize = 16;

/// A worker or a thread that the watchdog judges: the position of its runtime, and its worker or the slot of its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Worker { runtime: usize, worker: usize },
    Thread { slot: usize },
}

/// The result of a tick.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Findings that began, or whose condition changed.
    pub(super) begun: Vec<Finding>,
    pub(super) ended: Vec<Finding>,
    pub(super) was_late: bool,
}

/// The state between ticks.
pub(super) struct Observer {
    limits: Limits,
    watch: Arc<Watch>,
    spans: SpanReader,
    runtimes: Arc<Runtimes>,
    workers: HashMap<Subject, WorkerState>,
    /// The last movement of each slot, by its position.
    movements: HashMap<usize, Movement>,
    findings: BTreeMap<Subject, Current>,
    last_tick: Duration,
    /// The time of the last late tick.
    not_before: Duration,
}

/// A finding, and the innermost span of its thread, for which the spans were read.
struct Current {
    finding: Finding,
    innermost: Option<u64>,
}

/// The last movement of a thread. An exit writes no time, so a change of the number of entered spans dates it.
#[derive(Clone, Copy)]
struct Movement {
    moved_ms: u64,
    depth: u8,
    at: Duration,
}

impl Observer {
    pub(super) fn new(
        limits: Limits,
        watch: Arc<Watch>,
        spans: SpanReader,
        runtimes: Arc<Runtimes>,
        now: Duration,
    ) -> Self {
        Self {
            limits,
            watch,
            spans,
            runtimes,
            workers: HashMap::new(),
            movements: HashMap::new(),
            findings: BTreeMap::new(),
            last_tick: now,
            not_before: now,
        }
    }

    /// The findings, in the order of their runtimes and workers.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().map(|current| &current.finding)
    }

    pub(super) fn tick(&mut self, now: Duration) -> Changes {
        let was_late = now.saturating_sub(self.last_tick) > self.limits.max_interval();
        self.last_tick = now;
        if was_late {
            // The machine was suspended, or the process had no CPU: nobody knows which threads could run.
            self.not_before = now;
            self.workers
                .values_mut()
                .for_each(|state| state.restart(now));
            return Changes {
                was_late,
                ..Changes::default()
            };
        }
        let threads = self.watch.threads();
        self.note_movements(&threads, now);
        let mut verdicts = BTreeMap::new();
        let runtimes = self.runtimes.all();
        for (position, (_, runtime)) in runtimes.iter().enumerate() {
            self.judge_workers(position, runtime, &threads, now, &mut verdicts);
        }
        for thread in threads.iter().filter(|thread| thread.is_in_block_on) {
            let subject = Subject::Thread { slot: thread.slot };
            let slot = self.slot_reading(thread);
            if let Some(verdict) = judge_thread(now, slot, self.not_before, &self.limits) {
                verdicts.insert(subject, (verdict, Some(*thread)));
            }
        }
        let name_of = |position: usize| {
            let runtime = runtimes.get(position);
            runtime.map_or_else(String::new, |(name, _)| name.to_string())
        };
        let by_key = |key| {
            let keys = runtimes.iter().map(|(_, handle)| runtime_key(handle.id()));
            let position = keys.enumerate().find(|(_, known)| *known == key);
            position.map_or_else(
                || "unregistered".to_owned(),
                |(position, _)| name_of(position),
            )
        };
        self.compare(verdicts, now, |subject, thread| match subject {
            Subject::Worker { runtime, .. } => name_of(runtime),
            Subject::Thread { .. } => {
                thread.map_or_else(String::new, |thread| by_key(thread.runtime))
            }
        })
    }

    fn note_movements(&mut self, threads: &[ThreadReading], now: Duration) {
        let mut movements = HashMap::with_capacity(threads.len());
        for thread in threads {
            let moved_at = Duration::from_millis(thread.moved_ms);
            let at = match self.movements.get(&thread.slot) {
                Some(last) if last.moved_ms == thread.moved_ms && last.depth == thread.depth => {
                    last.at
                }
                Some(last) if last.moved_ms == thread.moved_ms => now,
                _ => moved_at,
            };
            let movement = Movement {
                moved_ms: thread.moved_ms,
                depth: thread.depth,
                at,
            };
            movements.insert(thread.slot, movement);
        }
        self.movements = movements;
    }

    fn slot_reading(&self, thread: &ThreadReading) -> SlotReading {
        let movement = self.movements.get(&thread.slot);
        SlotReading {
            moved_at: movement.map_or(Duration::ZERO, |movement| movement.at),
            is_inside_span: thread.depth > 0,
            is_asleep: false,
        }
    }

    fn judge_workers(
        &mut self,
        position: usize,
        runtime: &tokio::runtime::Handle,
        threads: &[ThreadReading],
        now: Duration,
        verdicts: &mut BTreeMap<Subject, (Verdict, Option<ThreadReading>)>,
    ) {
        let (metrics, key) = (runtime.metrics(), runtime_key(runtime.id()));
        let has_tasks = metrics.num_alive_tasks() > 0;
        for worker in 0..metrics.num_workers() {
            let subject = Subject::Worker {
                runtime: position,
                worker,
            };
            let of_worker =
                |thread: &&ThreadReading| thread.runtime == key && thread.worker == Some(worker);
            let thread = threads
                .iter()
                .filter(of_worker)
                .max_by_key(|thread| thread.moved_ms);
            let reading = WorkerReading {
                parks_and_unparks: metrics.worker_park_unpark_count(worker),
                busy: metrics.worker_total_busy_duration(worker),
                // A runtime of the current thread also polls the future of `block_on`.
                may_have_work: has_tasks || thread.is_some_and(|thread| thread.depth > 0),
            };
            let state = self
                .workers
                .entry(subject)
                .or_insert_with(|| WorkerState::new(now, reading));
            let was_parked = state.is_parked_as(&reading);
            let is_suspect = state.is_suspect(now, reading, &self.limits);
            if let (true, Some(thread)) = (was_parked && !is_suspect, thread) {
                self.correct(thread, now);
            }
            if !is_suspect {
                continue;
            }
            let slot = thread.map(|thread| SlotReading {
                is_asleep: thread.tid.is_some_and(process_threads::is_asleep),
                ..self.slot_reading(thread)
            });
            let state = self.workers.get_mut(&subject);
            if let Some(verdict) = state.and_then(|state| state.judge(now, slot, &self.limits)) {
                verdicts.insert(subject, (verdict, thread.copied()));
            }
        }
    }

    /// Corrects the slot of a thread whose worker was parked for a whole tick: it has left all spans, unless a guard of a span
    /// was held across an `.await`.
    fn correct(&self, thread: &ThreadReading, now: Duration) {
        let moved_at = self.slot_reading(thread).moved_at;
        if thread.depth > 0 && now.saturating_sub(moved_at) > self.limits.interval * 2 {
            Watch::reset(thread);
        }
    }

    /// Compares the verdicts with the findings of the tick before.
    fn compare(
        &mut self,
        verdicts: BTreeMap<Subject, (Verdict, Option<ThreadReading>)>,
        now: Duration,
        runtime_of: impl Fn(Subject, Option<&ThreadReading>) -> String,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut before = std::mem::take(&mut self.findings);
        for (subject, (verdict, thread)) in verdicts.into_iter().take(MAX_FINDINGS) {
            let entered = match (verdict.condition, &thread) {
                (Condition::Blocked, Some(thread)) => Watch::entered(thread),
                _ => Vec::new(),
            };
            let innermost = entered.last().copied();
            let duration = now.saturating_sub(verdict.since);
            let current = match before.remove(&subject) {
                Some(mut same)
                    if same.finding.condition == verdict.condition
                        && same.innermost == innermost =>
                {
                    same.finding.duration = duration;
                    same
                }
                _ => {
                    let finding = Finding {
                        condition: verdict.condition,
                        runtime: runtime_of(subject, thread.as_ref()),
                        worker: match subject {
                            Subject::Worker { worker, .. } => Some(worker),
                            Subject::Thread { .. } => None,
                        },
                        thread: thread.as_ref().map(Watch::thread_name),
                        thread_id: thread.as_ref().and_then(|thread| thread.tid),
                        duration,
                        spans: self.spans_of(innermost),
                        is_over: false,
                    };
                    changes.begun.push(finding.clone());
                    Current { finding, innermost }
                }
            };
            self.findings.insert(subject, current);
        }
        // The rest of `before` has ended.
        changes.ended = before
            .into_values()
            .map(|Current { mut finding, .. }| {
                finding.is_over = true;
                finding
            })
            .collect();
        changes
    }

    /// Returns a span and its ancestors.
    fn spans_of(&self, innermost: Option<u64>) -> Vec<FindingSpan> {
        let mut spans = Vec::new();
        let mut next = innermost;
        while let Some(span) = next.and_then(|id| self.spans.span(id)) {
            next = span.parent;
            spans.push(FindingSpan::from(span));
            if spans.len() == MAX_SPANS {
                break;
            }
        }
        spans
    }
}
