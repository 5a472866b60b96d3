//! The two clocks: a monotonic one for durations, the wall's for dates.
//!
//! Everything that needs the time takes it from here, so that a test owns it, on the observatory's own threads
//! too.

use std::{
    fmt,
    sync::{
        Arc, Condvar, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// A monotonic clock and a wall clock.
#[derive(Clone)]
pub struct Clock {
    monotonic: quanta::Clock,
    wall: Wall,
}

#[derive(Clone)]
enum Wall {
    System,
    Manual(Arc<Hands>),
}

/// What a [`ManualClock`] and the clocks made from it share.
struct Hands {
    mock: Arc<quanta::Mock>,
    start: SystemTime,
    passed_ns: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The machine's clocks: the CPU's time stamp counter where it is dependable, else the kernel's.
    #[must_use]
    pub fn system() -> Self {
        Self {
            monotonic: quanta::Clock::new(),
            wall: Wall::System,
        }
    }

    /// A reading of the monotonic clock, for [`Clock::between`].
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        self.monotonic.raw()
    }

    /// The time between two readings.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Duration {
        Duration::from_nanos(self.monotonic.delta_as_nanos(start, end))
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.wall {
            Wall::System => SystemTime::now(),
            Wall::Manual(hands) => {
                hands.start + Duration::from_nanos(hands.passed_ns.load(Ordering::Acquire))
            }
        }
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    #[cfg(feature = "alerting")]
    pub(crate) fn unix_ms(&self) -> i64 {
        unix_ms(self.wall())
    }

    /// Waits on `condition` until it is notified, until `timeout` has passed on this clock, or for no reason.
    pub(crate) fn wait<'l, T>(
        &self,
        lock: MutexGuard<'l, T>,
        condition: &Condvar,
        timeout: Duration,
    ) -> MutexGuard<'l, T> {
        let timeout = match &self.wall {
            Wall::System => timeout,
            // A manual clock does not tell this condition that it moved: look often. Only tests do this.
            Wall::Manual(_) => timeout.min(Duration::from_millis(2)),
        };
        condition
            .wait_timeout(lock, timeout)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(lock, _)| lock)
    }
}

/// Milliseconds since the Unix epoch.
#[cfg(feature = "alerting")]
pub(crate) fn unix_ms(time: SystemTime) -> i64 {
    let magnitude = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => magnitude(since),
        Err(before) => -magnitude(before.duration()),
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

/// A clock that a test moves by hand.
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
    hands: Arc<Hands>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands at 2025-01-01 00:00:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        const START: Duration = Duration::from_hours(482_136);
        let (monotonic, mock) = quanta::Clock::mock();
        // Not 0, which could be mistaken for "never".
        mock.increment(1_000_000_000_u64);
        let hands = Hands {
            mock,
            start: SystemTime::UNIX_EPOCH + START,
            passed_ns: AtomicU64::new(0),
        };
        Self {
            monotonic,
            hands: Arc::new(hands),
        }
    }

    /// A clock that shows this one's time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock {
            monotonic: self.monotonic.clone(),
            wall: Wall::Manual(Arc::clone(&self.hands)),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // The wall first: who wakes by the monotonic clock finds the new date.
        self.hands
            .passed_ns
            .fetch_add(nanoseconds, Ordering::AcqRel);
        self.hands.mock.increment(by);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").finish_non_exhaustive()
    }
}
