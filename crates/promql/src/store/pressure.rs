//! Selects the content that a store drops when it reaches its memory limit.
//!
//! One pass over the series collects the idle series and the bytes of the samples by age. Idle series go first, the series
//! with the oldest last sample before the others. If their memory does not suffice, the histories of the other series
//! become shorter: by whole chunks if a quarter of the retention remains, otherwise by samples. A series that is not idle
//! keeps its newest sample.

use super::retention::{Retention, milliseconds};
use super::series::{Cutoffs, Series};

/// The maximum time without a sample, in milliseconds, before a series is idle: the default lookback of queries, after
/// which instant selectors do not find the series.
const MAX_GAP_MS: i64 = 5 * 60 * 1000;
/// The number of classes of ages. The oldest class also has the samples beyond the retention.
const AGES: usize = 240;

/// The bytes that a sweep has to free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// The bytes of labels and index, which only removed series free.
    pub(super) fixed: u64,
    /// The bytes in total.
    pub(super) total: u64,
}

/// The content that a sweep drops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    /// The last sample and the slot of the last idle series to drop, in the order of both.
    pub(super) idle_up_to: Option<(i64, u32)>,
    pub(super) shortening: Shortening,
    /// The earliest time at which a further series can be idle. In the past if idle series remain.
    pub(super) next_idle: i64,
}

/// The samples that the remaining series lose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shortening {
    Nothing,
    Chunks(Cutoffs),
    Samples(Cutoffs),
}

/// Bytes by age, as the differences between neighbouring classes.
struct BytesByAge([i64; AGES + 1]);

struct Idle {
    last: i64,
    place: u32,
    fixed_bytes: u64,
    sample_bytes: u64,
}

/// Returns the time without a sample, in milliseconds, after which a series is idle.
pub(super) fn max_gap(retention: &Retention) -> i64 {
    MAX_GAP_MS.min(milliseconds(retention.time))
}

/// Selects the content to drop, so that `need` is met as far as possible.
pub(super) fn select<'a>(
    series: impl Iterator<Item = (u32, &'a Series)>,
    retention: &Retention,
    now: i64,
    need: Need,
) -> Selection {
    let gap = max_gap(retention);
    let units = [retention.time, retention.coarse_time]
        .map(|time| (milliseconds(time) / i64::try_from(AGES).unwrap_or(i64::MAX)).max(1));
    let age_class = |is_coarse: bool, timestamp: i64| {
        let age = now.saturating_sub(timestamp).max(0) / units[usize::from(is_coarse)];
        usize::try_from(age).unwrap_or(AGES).min(AGES - 1)
    };
    let mut whole = BytesByAge([0; AGES + 1]);
    let mut parts = BytesByAge([0; AGES + 1]);
    let mut idle = Vec::new();
    // Series without a sample, and series that are not registered yet, get samples from `now` on.
    let mut next_idle = now.saturating_add(gap).saturating_add(1);
    for (place, series) in series {
        let Some(last) = series.last_timestamp() else {
            continue;
        };
        if last < now.saturating_sub(gap) {
            idle.push(Idle {
                last,
                place,
                fixed_bytes: series.fixed_bytes(),
                sample_bytes: series.sample_bytes(),
            });
            continue;
        }
        next_idle = next_idle.min(last.saturating_add(gap).saturating_add(1));
        for (is_coarse, is_newest, chunk) in series.chunks() {
            let youngest = age_class(is_coarse, chunk.last().timestamp);
            let oldest = age_class(is_coarse, chunk.first_timestamp());
            let bytes = chunk.heap_bytes();
            parts.add(youngest, oldest, bytes);
            if !is_newest {
                whole.add(youngest, youngest, bytes);
            }
        }
    }

    idle.sort_unstable_by_key(|idle| (idle.last, idle.place));
    let (mut fixed, mut total) = (0, 0);
    let mut idle_up_to = None;
    for found in &idle {
        if fixed >= need.fixed && total >= need.total {
            next_idle = i64::MIN;
            break;
        }
        fixed += found.fixed_bytes;
        total += found.fixed_bytes + found.sample_bytes;
        idle_up_to = Some((found.last, found.place));
    }
    let rest = i64::try_from(need.total.saturating_sub(total)).unwrap_or(i64::MAX);
    let cutoffs = |class: usize| {
        let class = i64::try_from(class).unwrap_or(0);
        let [recent, coarse] = units.map(|unit| now.saturating_sub(class * unit - 1));
        Cutoffs { recent, coarse }
    };
    let shortening = match (whole.oldest_with(rest), parts.oldest_with(rest)) {
        _ if rest == 0 => Shortening::Nothing,
        (Some(class), _) if class >= AGES / 4 => Shortening::Chunks(cutoffs(class)),
        (_, class) => Shortening::Samples(cutoffs(class.unwrap_or(0))),
    };
    Selection {
        idle_up_to,
        shortening,
        next_idle,
    }
}

impl BytesByAge {
    /// Adds bytes in equal shares to the classes from `youngest` to `oldest`.
    fn add(&mut self, youngest: usize, oldest: usize, bytes: usize) {
        let classes = oldest.saturating_sub(youngest) + 1;
        let share = i64::try_from(bytes / classes).unwrap_or(i64::MAX);
        self.0[youngest] += share;
        self.0[youngest + classes] -= share;
    }

    /// Returns the oldest class that has at least `bytes` together with the classes of greater age.
    fn oldest_with(&self, bytes: i64) -> Option<usize> {
        // From the oldest class: the differences, negated and summed, are the bytes of a class.
        let (mut class_bytes, mut sum) = (0, 0);
        for class in (0..AGES).rev() {
            class_bytes -= self.0[class + 1];
            sum += class_bytes;
            if sum >= bytes {
                return Some(class);
            }
        }
        None
    }
}
