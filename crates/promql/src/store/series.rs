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

/// The change that a new sample makes to the totals of the store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) samples: u64,
    /// The change of [`Series::sample_bytes`]. Negative if a full chunk releases its unused memory.
    pub(super) bytes: i64,
}

/// The times before which a sweep drops the samples of the two tiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cutoffs {
    pub(super) recent: i64,
    pub(super) coarse: i64,
}

/// The number of chunks for which a tier has memory from registration on, so that the first tick does not allocate for all
/// series.
const RESERVED_CHUNKS: usize = 4;

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

    /// Returns the time of the last sample in both tiers.
    pub(super) fn last_timestamp(&self) -> Option<i64> {
        let last = |tier: &Tier| tier.chunks.back().map(|chunk| chunk.last().timestamp);
        last(&self.recent).max(self.coarse.as_ref().and_then(last))
    }

    /// Returns the heap bytes that the series takes as long as it exists: its labels and the reserved places of chunks.
    pub(super) fn fixed_bytes(&self) -> u64 {
        let tiers = 1 + usize::from(self.coarse.is_some());
        (self.labels.heap_bytes() + tiers * RESERVED_CHUNKS * size_of::<Chunk>()) as u64
    }

    /// Returns the heap bytes that the samples take beyond [`fixed_bytes`](Self::fixed_bytes).
    pub(super) fn sample_bytes(&self) -> u64 {
        let tiers = [Some(&self.recent), self.coarse.as_ref()];
        let bytes: usize = tiers.into_iter().flatten().map(Tier::sample_bytes).sum();
        bytes as u64
    }

    /// Iterates over the chunks: whether the chunk is in the second tier, whether it is the newest of its tier, the chunk.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (bool, bool, &Chunk)> {
        let tiers = [(false, Some(&self.recent)), (true, self.coarse.as_ref())];
        tiers.into_iter().flat_map(|(is_coarse, tier)| {
            let chunks = tier.into_iter().flat_map(|tier| tier.chunks.iter().rev());
            chunks
                .enumerate()
                .map(move |(at, chunk)| (is_coarse, at == 0, chunk))
        })
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

    /// Moves the times of all samples.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let tiers = std::iter::once(&mut self.recent).chain(&mut self.coarse);
        for chunk in tiers.flat_map(|tier| &mut tier.chunks) {
            chunk.shift(by_ms);
        }
    }

    /// Drops the chunks that end before the cutoffs, and returns the number of dropped samples.
    pub(super) fn drop_before(&mut self, cutoffs: Cutoffs) -> u64 {
        let coarse = self.coarse.as_mut();
        self.recent.drop_before(cutoffs.recent, 0)
            + coarse.map_or(0, |tier| tier.drop_before(cutoffs.coarse, 0))
    }

    /// Drops the chunks that end before the cutoffs, except the newest chunk of each tier, and returns the number of dropped
    /// samples.
    pub(super) fn shorten(&mut self, cutoffs: Cutoffs) -> u64 {
        let coarse = self.coarse.as_mut();
        self.recent.shorten(cutoffs.recent) + coarse.map_or(0, |tier| tier.shorten(cutoffs.coarse))
    }

    /// Drops the samples before the cutoffs, except the newest sample of each tier, and returns their number.
    pub(super) fn trim(&mut self, cutoffs: Cutoffs) -> u64 {
        let coarse = self.coarse.as_mut();
        self.recent.trim(cutoffs.recent) + coarse.map_or(0, |tier| tier.trim(cutoffs.coarse))
    }

    /// Returns the number of samples in both tiers.
    pub(super) fn samples(&self) -> u64 {
        self.chunks()
            .map(|(_, _, chunk)| u64::from(chunk.samples()))
            .sum()
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
            chunks: VecDeque::with_capacity(RESERVED_CHUNKS),
        }
    }

    fn first_timestamp(&self) -> Option<i64> {
        self.chunks.front().map(Chunk::first_timestamp)
    }

    fn sample_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::heap_bytes).sum();
        self.place_bytes() + chunks
    }

    /// Returns the bytes of the places of chunks beyond the reserved places.
    fn place_bytes(&self) -> usize {
        self.chunks.capacity().saturating_sub(RESERVED_CHUNKS) * size_of::<Chunk>()
    }

    fn push(&mut self, point: Point) -> Change {
        let places = self.place_bytes();
        let (before, after) = match self.chunks.back_mut() {
            Some(chunk) if !chunk.is_full() => {
                let before = chunk.heap_bytes();
                chunk.push(point);
                if chunk.is_full() {
                    chunk.seal();
                }
                (before, chunk.heap_bytes())
            }
            _ => {
                let is_first = self.chunks.is_empty();
                let samples = if is_first {
                    self.first_chunk_samples
                } else {
                    MAX_SAMPLES
                };
                self.chunks.push_back(Chunk::new(point, samples));
                (0, 0)
            }
        };
        let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        Change {
            samples: 1,
            bytes: signed(after + self.place_bytes()) - signed(before + places),
        }
    }

    /// Drops the chunks that end before `limit`, except the `keep` newest chunks.
    fn drop_before(&mut self, limit: i64, keep: usize) -> u64 {
        let mut samples = 0;
        while self.chunks.len() > keep
            && let Some(chunk) = self.chunks.front()
            && chunk.last().timestamp < limit
        {
            samples += u64::from(chunk.samples());
            self.chunks.pop_front();
        }
        samples
    }

    fn shorten(&mut self, limit: i64) -> u64 {
        let samples = self.drop_before(limit, 1);
        if samples > 0 && self.chunks.len() < RESERVED_CHUNKS {
            self.chunks.shrink_to(RESERVED_CHUNKS);
        }
        samples
    }

    fn trim(&mut self, limit: i64) -> u64 {
        let samples = self.shorten(limit);
        match self.chunks.front_mut() {
            Some(chunk) if chunk.first_timestamp() < limit => {
                samples + u64::from(chunk.trim_before(limit))
            }
            _ => samples,
        }
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
