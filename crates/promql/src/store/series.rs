//! The samples of a series in two tiers: recent samples and, for long ranges, one sample a minute.

use std::collections::VecDeque;

use super::chunk::{Chunk, MAX_SAMPLES, Point};
use crate::labels::Labels;

/// A series and its samples.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// Distinguishes this series from earlier series in the same slot.
    pub(super) epoch: u32,
    recent: Tier,
    /// The coarse second tier, only for series that long ranges read.
    coarse: Option<Tier>,
}

/// A list of chunks, from the oldest to the newest.
#[derive(Debug)]
struct Tier {
    /// The size of the first chunk differs between series, so that their chunks are not all sealed at the same tick.
    first_chunk_samples: u16,
    chunks: VecDeque<Chunk>,
}

/// The change that an operation makes to the totals of the store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) samples: u64,
    pub(super) bytes: u64,
}

impl Series {
    pub(super) fn new(labels: Labels, epoch: u32) -> Self {
        Self {
            labels,
            epoch,
            recent: Tier::new(epoch),
            coarse: None,
        }
    }

    pub(super) fn keep_coarse(&mut self) {
        self.coarse.get_or_insert_with(|| Tier::new(self.epoch));
    }

    pub(super) fn last(&self) -> Option<Point> {
        self.recent.chunks.back().map(Chunk::last)
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        let tiers = [Some(&self.recent), self.coarse.as_ref()];
        let chunks: usize = tiers.into_iter().flatten().map(Tier::heap_bytes).sum();
        (size_of::<Self>() + self.labels.heap_bytes() + chunks) as u64
    }

    /// Appends a sample that is later than the last sample. The second tier takes a sample per `coarse_interval`.
    pub(super) fn push(&mut self, point: Point, coarse_interval: i64) -> Change {
        let mut change = self.recent.push(point);
        if let Some(coarse) = &mut self.coarse {
            let last = coarse.chunks.back().map(Chunk::last);
            let is_due = last.is_none_or(|last| {
                // A stale marker goes into both tiers, because a series without the marker would seem to continue.
                point.timestamp.saturating_sub(last.timestamp) >= coarse_interval
                    || super::is_stale(point.value) != super::is_stale(last.value)
            });
            if is_due {
                let coarse = coarse.push(point);
                change.samples += coarse.samples;
                change.bytes += coarse.bytes;
            }
        }
        change
    }

    /// Drops the chunks that end before the given times, and returns the change.
    pub(super) fn drop_before(&mut self, recent: i64, coarse: i64) -> Change {
        let mut change = self.recent.drop_before(recent);
        if let Some(tier) = &mut self.coarse {
            let dropped = tier.drop_before(coarse);
            change.samples += dropped.samples;
            change.bytes += dropped.bytes;
        }
        change
    }

    pub(super) fn is_without_samples(&self) -> bool {
        let is_empty = |tier: &Tier| tier.chunks.is_empty();
        is_empty(&self.recent) && self.coarse.as_ref().is_none_or(is_empty)
    }

    /// Appends the samples with `from <= time <= to` to `out`, with stale markers.
    pub(super) fn window(&self, from: i64, to: i64, out: &mut Vec<Point>) {
        let recent_from = self.recent.first_timestamp();
        if let Some(coarse) = &self.coarse
            && recent_from.is_none_or(|first| first > from)
        {
            let end = recent_from.map_or(to, |first| to.min(first - 1));
            coarse.window(from, end, out);
        }
        self.recent.window(from, to, out);
    }

    /// Returns the last sample with `from <= time <= to`, which may be a stale marker.
    pub(super) fn latest(&self, from: i64, to: i64) -> Option<Point> {
        let found = self.recent.latest(to);
        let found = found.or_else(|| self.coarse.as_ref().and_then(|tier| tier.latest(to)));
        found.filter(|point| point.timestamp >= from)
    }
}

impl Tier {
    fn new(epoch: u32) -> Self {
        let spread = u16::try_from(epoch % u32::from(MAX_SAMPLES)).unwrap_or(0);
        Self {
            first_chunk_samples: 1 + spread,
            // Reserved at registration, so that the first tick does not allocate for all series.
            chunks: VecDeque::with_capacity(4),
        }
    }

    fn first_timestamp(&self) -> Option<i64> {
        self.chunks.front().map(Chunk::first_timestamp)
    }

    fn heap_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::heap_bytes).sum();
        self.chunks.capacity() * size_of::<Chunk>() + chunks
    }

    fn push(&mut self, point: Point) -> Change {
        let reserved = self.chunks.capacity();
        let bytes = match self.chunks.back_mut() {
            Some(chunk) if !chunk.is_full() => {
                let before = chunk.heap_bytes();
                chunk.push(point);
                let mut grown = chunk.heap_bytes() - before;
                if chunk.is_full() {
                    let full = chunk.heap_bytes();
                    chunk.seal();
                    // The difference is not negative: a chunk grows at least once in this store's count before it is sealed.
                    grown = grown.saturating_sub(full - chunk.heap_bytes());
                }
                grown
            }
            _ => {
                let is_first = self.chunks.is_empty();
                let samples = if is_first {
                    self.first_chunk_samples
                } else {
                    MAX_SAMPLES
                };
                self.chunks.push_back(Chunk::new(point, samples));
                0
            }
        };
        let reserved = (self.chunks.capacity() - reserved) * size_of::<Chunk>();
        Change {
            samples: 1,
            bytes: (bytes + reserved) as u64,
        }
    }

    fn drop_before(&mut self, limit: i64) -> Change {
        let mut change = Change::default();
        while let Some(chunk) = self.chunks.front() {
            if chunk.last().timestamp >= limit {
                break;
            }
            change.samples += u64::from(chunk.samples());
            change.bytes += chunk.heap_bytes() as u64;
            self.chunks.pop_front();
        }
        change
    }

    fn window(&self, from: i64, to: i64, out: &mut Vec<Point>) {
        let start = self
            .chunks
            .partition_point(|chunk| chunk.last().timestamp < from);
        for chunk in self.chunks.range(start..) {
            if chunk.first_timestamp() > to {
                return;
            }
            chunk.for_each(|point| {
                if point.timestamp > to {
                    return false;
                }
                if point.timestamp >= from {
                    out.push(point);
                }
                true
            });
        }
    }

    fn latest(&self, to: i64) -> Option<Point> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first_timestamp() <= to);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        // Most queries read the present: the last sample needs no decoding.
        if chunk.last().timestamp <= to {
            return Some(chunk.last());
        }
        let mut found = None;
        chunk.for_each(|point| {
            let is_before = point.timestamp <= to;
            if is_before {
                found = Some(point);
            }
            is_before
        });
        found
    }
}
