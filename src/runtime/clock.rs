//! A monotonic clock for durations and a wall clock for dates, both replaceable in tests.
//!
//! A clock that `ObservatoryBuilder::clock` sets also applies to the observatory's own threads. Spans measure their
//! durations with the CPU's time stamp counter, which is cheap but drifts over hours; uptime, stored samples and alerts
//! use the kernel's monotonic clock and the [`timeline`] that follows it.

mod timeline;

use std::{
    fmt,
    sync::{
        Arc, Condvar, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use self::timeline::Timeline;
pub(crate) use self::timeline::{ClockSteps, moved};
#[cfg(feature = "alerting")]
use super::unix_ms::UnixMs;

/// A monotonic clock and a wall clock.
#[derive(Clone)]
pub struct Clock {
    /// The time stamp counter, for the durations of spans.
    counter: quanta::Clock,
    source: Source,
    timeline: Arc<Timeline>,
}

#[derive(Clone)]
enum Source {
    /// The clocks of the machine, and the reading of the monotonic clock at the start.
    System(Instant),
    Manual(Arc<ManualTime>),
}

/// The state that a [`ManualClock`] and its clocks share.
struct ManualTime {
    mock: Arc<quanta::Mock>,
    start: SystemTime,
    elapsed_ns: AtomicU64,
    /// The time by which the wall clock was set forwards, in milliseconds.
    stepped_ms: AtomicI64,
}

impl ManualTime {
    /// Reads the monotonic clock and the wall clock at the same time.
    fn read_both(&self) -> (Duration, SystemTime) {
        let elapsed = Duration::from_nanos(self.elapsed_ns.load(Ordering::Acquire));
        let stepped_ms = self.stepped_ms.load(Ordering::Acquire);
        (elapsed, moved(self.start + elapsed, stepped_ms))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// Returns the clocks of the machine. Durations of spans are measured with the CPU's time stamp counter if it is
    /// reliable.
    #[must_use]
    pub fn system() -> Self {
        Self {
            counter: quanta::Clock::new(),
            source: Source::System(Instant::now()),
            timeline: Arc::new(Timeline::new(Duration::ZERO, SystemTime::now())),
        }
    }

    /// Reads the time stamp counter, for [`Clock::between`].
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        self.counter.raw()
    }

    /// Returns the time between two readings.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Duration {
        Duration::from_nanos(self.counter.delta_as_nanos(start, end))
    }

    /// Reads the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.source {
            Source::System(_) => SystemTime::now(),
            Source::Manual(time) => time.read_both().1,
        }
    }

    /// Returns the time since the creation of the clock, on the kernel's monotonic clock.
    pub(crate) fn monotonic(&self) -> Duration {
        match &self.source {
            Source::System(origin) => origin.elapsed(),
            Source::Manual(time) => time.read_both().0,
        }
    }

    /// Returns the time for stored samples, alert states and deadlines: the wall clock without its steps since the last
    /// [`Clock::compare_wall`].
    #[cfg(feature = "alerting")]
    pub(crate) fn unix_ms(&self) -> UnixMs {
        UnixMs::from_i64(self.timeline_ms())
    }

    /// Returns the time after which code that waits for `timeout` on this clock reads the clock again.
    pub(crate) fn step(&self, timeout: Duration) -> Duration {
        match &self.source {
            Source::System(_) => timeout,
            // A manual clock wakes nothing when it advances, so the wait is short. Only tests use this branch.
            Source::Manual(_) => timeout.min(Duration::from_millis(2)),
        }
    }

    /// Waits on `condition` until it is notified or `timeout` has passed on this clock. Spurious wake-ups are possible.
    pub(crate) fn wait<'l, T>(
        &self,
        lock: MutexGuard<'l, T>,
        condition: &Condvar,
        timeout: Duration,
    ) -> MutexGuard<'l, T> {
        let timeout = self.step(timeout);
        condition
            .wait_timeout(lock, timeout)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(lock, _)| lock)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.source {
            Source::System(_) => "Clock::system",
            Source::Manual(_) => "Clock::manual",
        };
        f.write_str(name)
    }
}

/// A clock that advances only when a test advances it.
///
/// ```
/// use std::time::Duration;
/// use llm_observatory::ManualClock;
///
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// let before = clock.wall();
/// manual.advance(Duration::from_secs(60));
/// assert_eq!(clock.wall().duration_since(before).unwrap(), Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct ManualClock {
    counter: quanta::Clock,
    time: Arc<ManualTime>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// Creates a clock that is set to 2025-01-01 00:00:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        const START: Duration = Duration::from_hours(482_136);
        let (counter, mock) = quanta::Clock::mock();
        // Not 0, since 0 could be mistaken for "never".
        mock.increment(1_000_000_000_u64);
        let time = ManualTime {
            mock,
            start: SystemTime::UNIX_EPOCH + START,
            elapsed_ns: AtomicU64::new(0),
            stepped_ms: AtomicI64::new(0),
        };
        Self {
            counter,
            time: Arc::new(time),
        }
    }

    /// Returns a clock that shows the time of this manual clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let (monotonic, wall) = self.time.read_both();
        Clock {
            counter: self.counter.clone(),
            source: Source::Manual(Arc::clone(&self.time)),
            timeline: Arc::new(Timeline::new(monotonic, wall)),
        }
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // The wall clock first: a thread that the monotonic clock wakes must read the new date.
        self.time
            .elapsed_ns
            .fetch_add(nanoseconds, Ordering::AcqRel);
        self.time.mock.increment(by);
    }

    /// Sets the wall clock in whole milliseconds, as an administrator or NTP does; the monotonic clock does not change.
    pub fn set_wall(&self, to: SystemTime) {
        let by = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let by_ms = match to.duration_since(self.time.read_both().1) {
            Ok(forwards) => by(forwards),
            Err(backwards) => -by(backwards.duration()),
        };
        self.time.stepped_ms.fetch_add(by_ms, Ordering::AcqRel);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").finish_non_exhaustive()
    }
}
