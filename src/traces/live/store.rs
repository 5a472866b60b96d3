//! Stores traces in bounded memory, in three groups: recent, failed and slow.
//!
//! A trace that leaves the recent group moves to the failed group or to the slow group. Each of these has a quarter of the
//! memory, and evicts its oldest and its fastest trace. A late span moves its trace back to the recent group, so a trace is
//! always in one group.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use opentelemetry::{SpanId, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use super::{
    TraceSummary,
    packed::{PackedSpan, Packer},
};

/// Bytes of bookkeeping for each trace.
const TRACE_OVERHEAD_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct Store {
    window: Duration,
    max_bytes: usize,
    /// By the time of arrival, like `failed`.
    recent: BTreeMap<u64, StoredTrace>,
    by_id: HashMap<u128, Group>,
    failed: BTreeMap<u64, StoredTrace>,
    slow: BTreeMap<(Duration, u64), StoredTrace>,
    next: u64,
    recent_bytes: usize,
    failed_bytes: usize,
    slow_bytes: usize,
    packer: Packer,
}

/// The group and the key of a trace.
#[derive(Clone, Copy, Debug)]
enum Group {
    Recent(u64),
    Failed(u64),
    Slow(Duration, u64),
}

/// A trace.
#[derive(Debug)]
pub(super) struct StoredTrace {
    pub(super) trace_id: u128,
    pub(super) spans: Vec<PackedSpan>,
    /// Spans that were left out to bound memory.
    pub(super) left_out: usize,
    pub(super) failed: usize,
    /// The local root span, once it has ended.
    pub(super) root: Option<PackedSpan>,
    bytes: usize,
    place: u64,
    last: Instant,
}

impl Store {
    pub(super) fn new(window: Duration, max_bytes: usize) -> Self {
        Self {
            window,
            max_bytes,
            recent: BTreeMap::new(),
            by_id: HashMap::new(),
            failed: BTreeMap::new(),
            slow: BTreeMap::new(),
            next: 0,
            recent_bytes: 0,
            failed_bytes: 0,
            slow_bytes: 0,
            packer: Packer::default(),
        }
    }

    pub(super) fn add(&mut self, span: &SpanData, now: Instant) {
        let trace_id = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
        let place = match self.by_id.get(&trace_id) {
            Some(Group::Recent(place)) => *place,
            Some(kept) => self.take_back(*kept, trace_id),
            None => self.place(trace_id),
        };
        let trace = self.recent.entry(place).or_insert_with(|| {
            self.recent_bytes += TRACE_OVERHEAD_BYTES;
            StoredTrace {
                trace_id,
                spans: Vec::new(),
                left_out: 0,
                failed: 0,
                root: None,
                bytes: TRACE_OVERHEAD_BYTES,
                place,
                last: now,
            }
        });
        trace.last = now;
        trace.failed += usize::from(matches!(span.status, Status::Error { .. }));
        let packed = self.packer.packed(span);
        let bytes = packed.bytes();
        let is_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        // A trace must fit into the failed group or the slow group.
        let max = self.max_bytes / 4;
        // The root ends last, and has the name and the duration of the trace: other spans make room for it.
        while is_root
            && trace.bytes + bytes > max
            && let Some(other) = trace.spans.pop()
        {
            let freed = other.bytes();
            trace.bytes -= freed;
            self.recent_bytes -= freed;
            trace.left_out += 1;
        }
        if trace.bytes + bytes > max {
            trace.left_out += 1;
        } else {
            trace.bytes += bytes;
            self.recent_bytes += bytes;
            if is_root {
                trace.root = Some(packed.clone());
            }
            trace.spans.push(packed);
        }
        self.make_room();
    }

    /// A new place, after all others.
    fn place(&mut self, trace_id: u128) -> u64 {
        let place = self.next;
        self.next += 1;
        self.by_id.insert(trace_id, Group::Recent(place));
        place
    }

    /// Moves a trace back to the recent group, as its latest.
    fn take_back(&mut self, from: Group, trace_id: u128) -> u64 {
        let (held, bytes) = match from {
            Group::Recent(place) => return place,
            Group::Failed(place) => (self.failed.remove(&place), &mut self.failed_bytes),
            Group::Slow(duration, place) => {
                (self.slow.remove(&(duration, place)), &mut self.slow_bytes)
            }
        };
        let held = held.inspect(|trace| {
            *bytes -= trace.bytes;
            self.recent_bytes += trace.bytes;
        });
        let place = self.place(trace_id);
        if let Some(mut trace) = held {
            trace.place = place;
            self.recent.insert(place, trace);
        }
        place
    }

    /// Removes traces that are older than the window.
    pub(super) fn forget(&mut self, now: Instant) {
        let window = self.window;
        let by_id = &mut self.by_id;
        let mut stays = |trace: &StoredTrace, bytes: &mut usize| {
            let is_new = now.saturating_duration_since(trace.last) <= window;
            if !is_new {
                *bytes -= trace.bytes;
                by_id.remove(&trace.trace_id);
            }
            is_new
        };
        let bytes = &mut self.recent_bytes;
        self.recent.retain(|_, trace| stays(trace, bytes));
        let bytes = &mut self.failed_bytes;
        self.failed.retain(|_, trace| stays(trace, bytes));
        let bytes = &mut self.slow_bytes;
        self.slow.retain(|_, trace| stays(trace, bytes));
    }

    pub(super) fn recent(&self, max: usize) -> Vec<TraceSummary> {
        summaries(self.all(), max, |trace| (trace.last, trace.place))
    }

    pub(super) fn slowest(&self, max: usize) -> Vec<TraceSummary> {
        summaries(self.all(), max, StoredTrace::duration)
    }

    pub(super) fn failed(&self, max: usize) -> Vec<TraceSummary> {
        let failed = self.all().filter(|trace| trace.failed > 0);
        summaries(failed, max, |trace| (trace.last, trace.place))
    }

    pub(super) fn spans(&self, trace_id: u128) -> Vec<PackedSpan> {
        let of_trace = self.all().filter(|trace| trace.trace_id == trace_id);
        of_trace.flat_map(|trace| trace.spans.clone()).collect()
    }

    /// Spans of a trace that were left out.
    pub(super) fn left_out(&self, trace_id: u128) -> usize {
        let of_trace = self.all().filter(|trace| trace.trace_id == trace_id);
        of_trace.map(|trace| trace.left_out).sum()
    }

    fn all(&self) -> impl Iterator<Item = &StoredTrace> {
        let kept = self.failed.values().chain(self.slow.values());
        self.recent.values().chain(kept)
    }

    fn bytes(&self) -> usize {
        self.recent_bytes + self.failed_bytes + self.slow_bytes
    }

    fn make_room(&mut self) {
        while self.bytes() > self.max_bytes {
            let Some((_, trace)) = self.recent.pop_first() else {
                return;
            };
            self.recent_bytes -= trace.bytes;
            let (id, place) = (trace.trace_id, trace.place);
            if trace.failed > 0 {
                self.failed_bytes += trace.bytes;
                self.failed.insert(place, trace);
                self.by_id.insert(id, Group::Failed(place));
            } else {
                let duration = trace.duration();
                self.slow_bytes += trace.bytes;
                self.slow.insert((duration, place), trace);
                self.by_id.insert(id, Group::Slow(duration, place));
            }
            while self.failed_bytes > self.max_bytes / 4
                && let Some((_, oldest)) = self.failed.pop_first()
            {
                self.failed_bytes -= oldest.bytes;
                self.by_id.remove(&oldest.trace_id);
            }
            while self.slow_bytes > self.max_bytes / 4
                && let Some((_, fastest)) = self.slow.pop_first()
            {
                self.slow_bytes -= fastest.bytes;
                self.by_id.remove(&fastest.trace_id);
            }
        }
    }
}

impl StoredTrace {
    /// The duration of the root span; before its end, the time from the first start to the last end.
    pub(super) fn duration(&self) -> Duration {
        let starts = self.spans.iter().map(|span| span.start);
        let ends = self.spans.iter().map(|span| span.end);
        let (start, end) = match &self.root {
            Some(root) => (Some(root.start), Some(root.end)),
            None => (starts.min(), ends.max()),
        };
        start
            .zip(end)
            .and_then(|(start, end)| end.duration_since(start).ok())
            .unwrap_or_default()
    }
}

/// Summaries in descending order of `key`.
fn summaries<'t, K: Ord>(
    traces: impl Iterator<Item = &'t StoredTrace>,
    max: usize,
    key: impl Fn(&StoredTrace) -> K,
) -> Vec<TraceSummary> {
    let mut traces: Vec<&StoredTrace> = traces.collect();
    traces.sort_by_cached_key(|trace| std::cmp::Reverse(key(trace)));
    traces.into_iter().take(max).map(TraceSummary::of).collect()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::traces::tail::tests::{failed, lasting, span};

    fn add(store: &mut Store, span: &SpanData, now: Instant) {
        store.add(span, now);
    }

    fn ids(traces: &[TraceSummary]) -> Vec<u128> {
        traces.iter().map(|trace| trace.trace_id).collect()
    }

    #[test]
    fn traces_are_listed_by_end_by_duration_and_by_failure() {
        let (mut store, now) = (Store::new(Duration::from_mins(1), 1 << 20), Instant::now());
        let second = Duration::from_secs(1);
        add(&mut store, &lasting(span(1, 1, 0), 3.0), now);
        add(&mut store, &failed(span(2, 2, 1)), now + second);
        add(&mut store, &lasting(span(2, 1, 0), 1.0), now + second);
        add(&mut store, &span(3, 1, 0), now + 2 * second);
        assert_eq!(ids(&store.recent(9)), [3, 2, 1]);
        assert_eq!(ids(&store.slowest(2)), [1, 2]);
        assert_eq!(ids(&store.failed(9)), [2]);
        let of_two = &store.failed(1)[0];
        assert_eq!(
            (of_two.spans, of_two.failed, of_two.is_complete),
            (2, 1, true)
        );
        assert_eq!(of_two.start, UNIX_EPOCH);
        assert_eq!(store.spans(2).len(), 2);
        assert!(store.spans(9).is_empty());
        store.forget(now + Duration::from_secs(61));
        assert_eq!(ids(&store.recent(9)), [3, 2]);
    }

    #[test]
    fn failed_and_slow_traces_outlive_the_others() {
        let (mut store, now) = (
            Store::new(Duration::from_hours(1), 64 << 10),
            Instant::now(),
        );
        add(&mut store, &failed(span(1, 1, 0)), now);
        add(&mut store, &lasting(span(2, 1, 0), 60.0), now);
        for trace in 3..5_000 {
            add(
                &mut store,
                &span(trace, 1, 0),
                now + Duration::from_millis(1),
            );
        }
        assert_eq!(ids(&store.failed(1)), [1]);
        assert_eq!(ids(&store.slowest(1)), [2]);
        assert_eq!(ids(&store.recent(1)), [4_999]);
        assert!(store.bytes() <= 64 << 10);
        assert_eq!(store.all().count(), store.by_id.len());
        // Late spans move their traces back.
        let late = now + Duration::from_secs(1);
        add(&mut store, &span(1, 2, 1), late);
        add(&mut store, &span(2, 2, 1), late);
        assert_eq!(ids(&store.recent(3)), [2, 1, 4_999]);
        let [two, one] = [2, 1].map(|id| store.spans(id).len());
        assert_eq!((two, one), (2, 2));
        assert_eq!(
            (ids(&store.failed(9)), ids(&store.slowest(1))),
            (vec![1], vec![2])
        );
        assert_eq!(store.all().count(), store.by_id.len());
    }

    #[test]
    fn a_trace_that_is_too_large_keeps_its_root() {
        let (mut store, now) = (Store::new(Duration::from_mins(2), 8_000), Instant::now());
        for id in 2..50 {
            add(&mut store, &span(1, id, 1), now);
        }
        add(&mut store, &lasting(span(1, 1, 0), 9.0), now);
        let traces = store.recent(9);
        assert_eq!((traces.len(), traces[0].is_complete), (1, true));
        assert_eq!(traces[0].duration, Duration::from_secs(9));
        assert_eq!(traces[0].spans, 49);
        assert!(store.bytes() <= 8_000);
    }

    proptest! {
        #[test]
        fn memory_is_bounded(
            offered in prop::collection::vec((0_u128..40, 0_u64..3, any::<bool>(), 0_u64..90), 0..400),
            bytes in 2_000_usize..40_000,
        ) {
            let (mut store, mut now) = (Store::new(Duration::from_mins(2), bytes), Instant::now());
            for (trace, parent, is_failed, pause) in offered {
                let span = lasting(span(trace, 9, parent), pause as f64);
                add(&mut store, &if is_failed { failed(span) } else { span }, now);
                prop_assert!(store.bytes() <= bytes);
                now += Duration::from_secs(pause);
                if pause > 60 {
                    store.forget(now);
                }
                let held: usize = store.all().map(|trace| trace.bytes).sum();
                prop_assert_eq!(held, store.bytes());
                prop_assert_eq!(store.all().count(), store.by_id.len());
            }
        }
    }
}
