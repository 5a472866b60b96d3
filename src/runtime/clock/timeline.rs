//! Converts the kernel's monotonic clock to wall time, and finds the steps of the wall clock.
//!
//! Stored samples, alert states and deadlines have times of the timeline: the monotonic clock plus an offset. The
//! offset follows the wall clock when [`Clock::compare_wall`] is called. A greater difference is a step; the caller
//! moves its stored times by the step and then calls [`Clock::apply_step`], so that intervals between stored times and
//! the present stay as they were. The monotonic clock stands still while the machine is suspended, so the resume of a
//! suspended machine is a step forwards.

use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use super::{Clock, Source};
use crate::runtime::lock;

/// The minimum difference between the clocks that is a step. NTP slews smaller differences.
const MIN_STEP_MICROSECONDS: i64 = 500_000;
/// The maximum time between the readings of both clocks. A longer time would appear as a difference between the clocks.
const MAX_READING_TIME: Duration = Duration::from_millis(10);
/// The maximum number of attempts to read both clocks.
const MAX_READINGS: usize = 3;

/// The offset of the wall clock to the monotonic clock, and the steps of the wall clock.
#[derive(Debug)]
pub(super) struct Timeline {
    /// In microseconds.
    offset: AtomicI64,
    steps: Mutex<ClockSteps>,
}

/// The steps of the wall clock since the start, in milliseconds; a step backwards is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClockSteps {
    pub(crate) count: u64,
    pub(crate) last_ms: i64,
    /// The time after the last step, since the epoch.
    pub(crate) last_at_ms: i64,
    pub(crate) total_ms: i64,
}

impl Timeline {
    pub(super) fn new(monotonic: Duration, wall: SystemTime) -> Self {
        let offset = since_epoch(wall).saturating_sub(microseconds(monotonic));
        Self {
            offset: AtomicI64::new(offset),
            steps: Mutex::default(),
        }
    }

    fn steps(&self) -> MutexGuard<'_, ClockSteps> {
        lock(&self.steps)
    }
}

impl Clock {
    /// Returns the time on the timeline, in milliseconds since the epoch.
    pub(super) fn timeline_ms(&self) -> i64 {
        let offset = self.timeline.offset.load(Ordering::Acquire);
        microseconds(self.monotonic())
            .saturating_add(offset)
            .div_euclid(1_000)
    }

    /// Compares the timeline with the wall clock: follows a small difference, and returns a step in milliseconds.
    ///
    /// Only the working thread calls it. A step is applied by [`Clock::apply_step`].
    pub(crate) fn compare_wall(&self) -> Option<i64> {
        let (monotonic, wall) = self.read_both()?;
        let offset = since_epoch(wall).saturating_sub(microseconds(monotonic));
        let difference = offset.saturating_sub(self.timeline.offset.load(Ordering::Acquire));
        if difference.saturating_abs() < MIN_STEP_MICROSECONDS {
            self.timeline.offset.store(offset, Ordering::Release);
            return None;
        }
        Some(difference / 1_000)
    }

    /// Moves the timeline by a step of [`Clock::compare_wall`].
    pub(crate) fn apply_step(&self, by_ms: i64) {
        let by = by_ms.saturating_mul(1_000);
        self.timeline.offset.fetch_add(by, Ordering::AcqRel);
        let mut steps = self.timeline.steps();
        *steps = ClockSteps {
            count: steps.count + 1,
            last_ms: by_ms,
            last_at_ms: self.timeline_ms(),
            total_ms: steps.total_ms.saturating_add(by_ms),
        };
    }

    /// Returns the steps of the wall clock since the start.
    pub(crate) fn steps(&self) -> ClockSteps {
        *self.timeline.steps()
    }

    /// Reads both clocks at the same time; `None` if the thread is interrupted at each attempt.
    fn read_both(&self) -> Option<(Duration, SystemTime)> {
        let origin = match &self.source {
            Source::System(origin) => origin,
            Source::Manual(time) => return Some(time.read_both()),
        };
        (0..MAX_READINGS).find_map(|_| {
            let before = Instant::now();
            let wall = SystemTime::now();
            let is_prompt = before.elapsed() <= MAX_READING_TIME;
            is_prompt.then(|| (before.saturating_duration_since(*origin), wall))
        })
    }
}

/// Moves a time by milliseconds, backwards if they are negative; a time out of range stays.
pub(crate) fn moved(time: SystemTime, by_ms: i64) -> SystemTime {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    let moved = if by_ms < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    moved.unwrap_or(time)
}

fn since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => microseconds(since),
        Err(before) => -microseconds(before.duration()),
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::ManualClock;
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn differences_below_half_a_second_are_followed_and_others_are_steps() {
        for (by_ms, step) in [
            (499, None),
            (-499, None),
            (500, Some(500)),
            (-500, Some(-500)),
            (HOUR_MS, Some(HOUR_MS)),
        ] {
            let manual = ManualClock::new();
            let clock = manual.clock();
            manual.advance(Duration::from_secs(10));
            let before = clock.timeline_ms();
            manual.set_wall(moved(clock.wall(), by_ms));
            assert_eq!(
                clock.timeline_ms(),
                before,
                "nothing moves before a comparison"
            );
            assert_eq!(clock.compare_wall(), step, "{by_ms}");
            let followed = if step.is_none() { by_ms } else { 0 };
            assert_eq!(clock.timeline_ms() - before, followed, "{by_ms}");
        }
    }

    #[test]
    fn an_applied_step_moves_the_timeline_to_the_wall_clock_and_is_counted() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let start = clock.timeline_ms();
        for by_ms in [HOUR_MS, -HOUR_MS, -5_000] {
            manual.set_wall(moved(clock.wall(), by_ms));
            let step = clock.compare_wall().unwrap();
            clock.apply_step(step);
            assert_eq!(clock.compare_wall(), None);
            assert_eq!(clock.timeline_ms() * 1_000, since_epoch(clock.wall()));
        }
        let expected = ClockSteps {
            count: 3,
            last_ms: -5_000,
            last_at_ms: start - 5_000,
            total_ms: -5_000,
        };
        assert_eq!(clock.steps(), expected);
    }

    #[test]
    fn the_clocks_of_the_machine_agree_without_a_step() {
        let clock = Clock::system();
        assert_eq!(clock.compare_wall(), None);
        let difference = since_epoch(clock.wall()) / 1_000 - clock.timeline_ms();
        assert!((-50..=50).contains(&difference), "{difference} ms");
    }
}
