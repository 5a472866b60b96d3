//! Judges readings of workers and threads: running, starved, blocked or stalled. Pure: the time and the readings are
//! arguments.
//!
//! A worker is suspect while its count of parks and unparks is even, so that it runs, and that count and its busy time do not
//! change. Long polls look the same, since tokio updates the busy time only between batches of polls. The slot of the
//! worker's thread tells the two apart, if spans are entered on the worker:
//!
//! | Slot | Condition |
//! |---|---|
//! | moves | starved: a long queue, or slow polls |
//! | stands still inside a span | blocked |
//! | absent, or outside of spans | stalled; blocked if the kernel says that the thread sleeps |
//!
//! A thread that polls the future of `block_on` has no worker, and is judged by its slot alone.

use std::time::Duration;

use super::WatchdogConfig;

/// The state of a worker or a thread that does not make progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The worker polls tasks without a pause: its queue is long, or its polls are slow.
    Starved,
    /// The worker stands still without an entered span: a very long poll and a block cannot be told apart.
    Stalled,
    /// The thread stands still inside a span, or sleeps while it polls a task.
    Blocked,
}

impl Condition {
    /// Every condition, the mildest first.
    pub const ALL: [Self; 3] = [Self::Starved, Self::Stalled, Self::Blocked];

    /// Returns the name of the condition in labels and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starved => "starved",
            Self::Stalled => "stalled",
            Self::Blocked => "blocked",
        }
    }
}

/// The times of the judgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The interval of ticks.
    pub(super) interval: Duration,
    /// The time after which a thread that stands still inside a span is blocked.
    pub(super) blocked_after: Duration,
    /// The time after which a worker without spans is stalled.
    pub(super) stalled_after: Duration,
}

impl Limits {
    pub(super) const fn of(options: &WatchdogConfig) -> Self {
        Self {
            interval: options.interval,
            blocked_after: options.blocked_after,
            stalled_after: options.stalled_after,
        }
    }

    /// Returns the interval between two ticks beyond which the watchdog itself was late.
    pub(super) fn max_interval(&self) -> Duration {
        (self.interval * 4).max(self.blocked_after / 2)
    }
}

/// A reading of a worker's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerReading {
    /// The count of parks and unparks; even while the worker runs.
    pub(super) parks_and_unparks: u64,
    pub(super) busy: Duration,
    /// False if the runtime has no task that the worker could poll.
    pub(super) may_have_work: bool,
}

/// A reading of the slot of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotReading {
    /// Time of the last enter or exit.
    pub(super) moved_at: Duration,
    pub(super) is_inside_span: bool,
    /// True if the kernel says that the thread sleeps; read for suspects only.
    pub(super) is_asleep: bool,
}

/// A condition, and the time at which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) condition: Condition,
    pub(super) since: Duration,
}

/// The state of a worker between ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerState {
    last: WorkerReading,
    /// Time of the last reading.
    read_at: Duration,
    /// Time of the reading before the last change: the numbers changed after it.
    changed_after: Duration,
    unchanged_since: Duration,
    asleep_since: Option<Duration>,
}

impl WorkerState {
    pub(super) fn new(now: Duration, reading: WorkerReading) -> Self {
        Self {
            last: reading,
            read_at: now,
            changed_after: Duration::ZERO,
            unchanged_since: now,
            asleep_since: None,
        }
    }

    /// Begins anew after a late tick, since nobody knows how long the process itself stood still.
    pub(super) fn restart(&mut self, now: Duration) {
        self.unchanged_since = now;
        self.asleep_since = None;
    }

    /// Returns whether the worker was parked at the tick before and has been since.
    pub(super) fn is_parked_as(&self, reading: &WorkerReading) -> bool {
        let parks = reading.parks_and_unparks;
        parks == self.last.parks_and_unparks && !parks.is_multiple_of(2)
    }

    /// Takes a reading; returns `true` if the worker is suspect, so that its slot is worth reading.
    pub(super) fn is_suspect(
        &mut self,
        now: Duration,
        reading: WorkerReading,
        limits: &Limits,
    ) -> bool {
        let is_running = reading.parks_and_unparks.is_multiple_of(2) && reading.may_have_work;
        let before = std::mem::replace(&mut self.read_at, now);
        if reading != self.last || !is_running {
            *self = Self {
                changed_after: before,
                ..Self::new(now, reading)
            };
            return false;
        }
        now.saturating_sub(self.unchanged_since) >= limits.blocked_after
    }

    /// Judges a suspect worker by the slot of its thread.
    pub(super) fn judge(
        &mut self,
        now: Duration,
        slot: Option<SlotReading>,
        limits: &Limits,
    ) -> Option<Verdict> {
        let since = self.unchanged_since;
        let verdict = |condition, since| Some(Verdict { condition, since });
        if let Some(slot) = slot {
            if now.saturating_sub(slot.moved_at) < limits.blocked_after {
                self.asleep_since = None;
                return verdict(Condition::Starved, since);
            }
            // An older slot belongs to a thread that has handed the worker over, by `block_in_place`.
            let is_current = slot.moved_at >= self.changed_after;
            if slot.is_inside_span && is_current {
                return verdict(Condition::Blocked, slot.moved_at.max(since));
            }
        }
        let is_asleep = slot.is_some_and(|slot| slot.is_asleep);
        let asleep_since = is_asleep.then(|| self.asleep_since.unwrap_or(now));
        self.asleep_since = asleep_since;
        if now.saturating_sub(since) < limits.stalled_after {
            return None;
        }
        let sleeps = |asleep| now.saturating_sub(asleep) >= limits.blocked_after;
        match asleep_since {
            Some(asleep) if sleeps(asleep) => verdict(Condition::Blocked, since),
            _ => verdict(Condition::Stalled, since),
        }
    }
}

/// Judges a thread that polls the future of `block_on`; `not_before` is the time of the last late tick.
pub(super) fn judge_thread(
    now: Duration,
    slot: SlotReading,
    not_before: Duration,
    limits: &Limits,
) -> Option<Verdict> {
    let since = slot.moved_at.max(not_before);
    let stands_still = now.saturating_sub(since) >= limits.blocked_after;
    (slot.is_inside_span && stands_still).then_some(Verdict {
        condition: Condition::Blocked,
        since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        interval: Duration::from_millis(50),
        blocked_after: Duration::from_millis(500),
        stalled_after: Duration::from_secs(5),
    };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A tick: time, parks and unparks, busy milliseconds, and the slot.
    type Tick = (u64, u64, u64, Option<SlotReading>);

    fn slot(moved_ms: u64, is_inside_span: bool, is_asleep: bool) -> Option<SlotReading> {
        Some(SlotReading {
            moved_at: at(moved_ms),
            is_inside_span,
            is_asleep,
        })
    }

    fn verdict(ticks: &[Tick]) -> Option<(Condition, u64)> {
        let mut state: Option<WorkerState> = None;
        let mut last = None;
        for (now, parks_and_unparks, busy, slot) in ticks {
            let (now, reading) = (
                at(*now),
                WorkerReading {
                    parks_and_unparks: *parks_and_unparks,
                    busy: at(*busy),
                    may_have_work: true,
                },
            );
            let state = state.get_or_insert_with(|| WorkerState::new(now, reading));
            last = state
                .is_suspect(now, reading, &LIMITS)
                .then(|| state.judge(now, *slot, &LIMITS))
                .flatten();
        }
        last.map(|verdict| (verdict.condition, verdict.since.as_millis() as u64))
    }

    #[test]
    fn a_worker_is_judged_by_its_numbers_and_its_slot() {
        use Condition::{Blocked, Stalled, Starved};
        let inside = slot(1_000, true, true);
        let cases: [(&str, &[Tick], _); 11] = [
            (
                "parked",
                &[(1_000, 7, 0, inside), (9_000, 7, 0, inside)],
                None,
            ),
            (
                "below the limit",
                &[(1_000, 6, 0, inside), (1_499, 6, 0, inside)],
                None,
            ),
            (
                "inside a span",
                &[(1_000, 6, 0, inside), (1_500, 6, 0, inside)],
                Some((Blocked, 1_000)),
            ),
            (
                "inside a span that was entered later",
                &[(1_000, 6, 0, None), (2_000, 6, 0, slot(1_400, true, false))],
                Some((Blocked, 1_400)),
            ),
            (
                "parked in between",
                &[
                    (1_000, 6, 0, inside),
                    (1_450, 8, 0, inside),
                    (1_900, 8, 0, inside),
                ],
                None,
            ),
            (
                "busy time moved",
                &[
                    (1_000, 6, 0, inside),
                    (1_450, 6, 400, inside),
                    (1_900, 6, 400, inside),
                ],
                None,
            ),
            (
                "the slot moves",
                &[
                    (1_000, 6, 0, inside),
                    (3_000, 6, 0, slot(2_950, true, false)),
                ],
                Some((Starved, 1_000)),
            ),
            (
                "the slot is older than the worker's last change: the thread has handed the worker over",
                &[
                    (1_050, 6, 0, inside),
                    (2_000, 6, 9, inside),
                    (4_000, 6, 9, inside),
                ],
                None,
            ),
            (
                "without spans, not yet",
                &[(1_000, 6, 0, None), (5_999, 6, 0, None)],
                None,
            ),
            (
                "without spans",
                &[(1_000, 6, 0, None), (6_000, 6, 0, None)],
                Some((Stalled, 1_000)),
            ),
            (
                "without spans, asleep",
                &[
                    (1_000, 6, 0, None),
                    (5_400, 6, 0, slot(900, false, true)),
                    (6_000, 6, 0, slot(900, false, true)),
                ],
                Some((Blocked, 1_000)),
            ),
        ];
        for (name, ticks, expected) in cases {
            assert_eq!(verdict(ticks), expected, "{name}");
        }
    }

    #[test]
    fn a_worker_without_work_and_a_worker_after_a_late_tick_are_not_suspect() {
        let reading = WorkerReading {
            parks_and_unparks: 6,
            busy: at(0),
            may_have_work: false,
        };
        let mut state = WorkerState::new(at(0), reading);
        assert!(!state.is_suspect(at(60_000), reading, &LIMITS));
        let reading = WorkerReading {
            may_have_work: true,
            ..reading
        };
        assert!(!state.is_suspect(at(60_050), reading, &LIMITS));
        assert!(state.is_suspect(at(60_600), reading, &LIMITS));
        state.restart(at(60_600));
        assert!(!state.is_suspect(at(60_700), reading, &LIMITS));
    }

    #[test]
    fn a_thread_of_block_on_is_judged_by_its_slot_alone() {
        let judge = |now, slot: Option<SlotReading>, not_before| {
            judge_thread(at(now), slot.unwrap(), at(not_before), &LIMITS)
                .map(|verdict| (verdict.condition, verdict.since))
        };
        let blocked = Some((Condition::Blocked, at(1_000)));
        assert_eq!(judge(1_500, slot(1_000, true, false), 0), blocked);
        assert_eq!(judge(1_499, slot(1_000, true, false), 0), None);
        assert_eq!(judge(9_000, slot(1_000, false, true), 0), None, "outside");
        assert_eq!(judge(9_000, slot(1_000, true, true), 8_900), None, "late");
    }
}
