//! A monotonic clock for durations and a wall clock for dates, both replaceable in tests.
//!
//! A clock that `ObservatoryBuilder::clock` sets also applies to the observatory's own threads.

use std::{
    fmt,
    sync::{
        Arc, Condvar, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

#[cfg(feature = "alerting")]
use super::unix_ms::UnixMs;

/// A monotonic clock and a wall clock.
#[derive(Clone)]
pub struct Clock {
    monotonic: quanta::Clock,
    wall: Wall,
}

#[derive(Clone)]
enum Wall {
    System,
    Manual(Arc<ManualTime>),
}

/// The state that a [`ManualClock`] and its clocks share.
struct ManualTime {
    mock: Arc<quanta::Mock>,
    start: SystemTime,
    elapsed_ns: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// Returns the clocks of the machine: the CPU's time stamp counter if it is reliable, or else the kernel's clock.
    #[must_use]
    pub fn system() -> Self {
        Self {
            monotonic: quanta::Clock::new(),
            wall: Wall::System,
        }
    }

    /// Reads the monotonic clock, for [`Clock::between`].
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        self.monotonic.raw()
    }

    /// Returns the time between two readings.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Duration {
        Duration::from_nanos(self.monotonic.delta_as_nanos(start, end))
    }

    /// Reads the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.wall {
            Wall::System => SystemTime::now(),
            Wall::Manual(time) => {
                time.start + Duration::from_nanos(time.elapsed_ns.load(Ordering::Acquire))
            }
        }
    }

    /// Reads the wall clock, in milliseconds since the Unix epoch.
    #[cfg(feature = "alerting")]
    pub(crate) fn unix_ms(&self) -> UnixMs {
        UnixMs::from(self.wall())
    }

    /// Waits on `condition` until it is notified or `timeout` has passed on this clock. Spurious wake-ups are possible.
    pub(crate) fn wait<'l, T>(
        &self,
        lock: MutexGuard<'l, T>,
        condition: &Condvar,
        timeout: Duration,
    ) -> MutexGuard<'l, T> {
        let timeout = match &self.wall {
            Wall::System => timeout,
            // A manual clock does not notify `condition` when it advances, so the wait is short. Only tests use this
            // branch.
            Wall::Manual(_) => timeout.min(Duration::from_millis(2)),
        };
        condition
            .wait_timeout(lock, timeout)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(lock, _)| lock)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.wall {
            Wall::System => "Clock::system",
            Wall::Manual(_) => "Clock::manual",
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
    monotonic: quanta::Clock,
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
        let (monotonic, mock) = quanta::Clock::mock();
        // Not 0, since 0 could be mistaken for "never".
        mock.increment(1_000_000_000_u64);
        let time = ManualTime {
            mock,
            start: SystemTime::UNIX_EPOCH + START,
            elapsed_ns: AtomicU64::new(0),
        };
        Self {
            monotonic,
            time: Arc::new(time),
        }
    }

    /// Returns a clock that shows the time of this manual clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock {
            monotonic: self.monotonic.clone(),
            wall: Wall::Manual(Arc::clone(&self.time)),
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
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").finish_non_exhaustive()
    }
}
