//! Decides about traces once it is known how they went: spans wait in bounded memory until the first span of their
//! trace here, its local root, has ended.
//!
//! Spans end before those around them, so the local root comes last; it is the one without a parent, or with a parent
//! elsewhere. What comes later, from work that outlives it, follows the decision. A trace that is called here again, as
//! an agent's is, has one more local root: what was kept stays so, and what was not is decided once more, by the spans
//! since. It runs on the exporting thread alone: there are no locks.
//!
//! Known limit: where one trace is here twice at once, the root that ends first takes the spans of both with it.

mod decisions;
mod merit;
#[cfg(test)]
pub(super) mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::SpanId;
use opentelemetry_sdk::trace::SpanData;

use self::{
    decisions::{Decision, Decisions},
    merit::{Merit, Merits},
};
use super::size::bytes_of;
use crate::{observation::Mapping, traces::TailConfig};

/// Bytes of the bookkeeping for a trace that waits.
const TRACE: usize = 256;
/// A wait that nobody lives to see the end of.
const FOR_GOOD: Duration = Duration::from_secs(1 << 32);

/// Spans of traces that are not decided yet, and what was decided.
pub(super) struct TailSampler {
    merits: Merits,
    wait: Duration,
    most_bytes: usize,
    traces: HashMap<u128, Waiting>,
    /// Traces in the order in which their first spans came, and until when they wait.
    order: BTreeMap<u64, (u128, Instant)>,
    next: u64,
    bytes: usize,
    decisions: Decisions,
}

/// A trace that is not decided yet.
struct Waiting {
    place: u64,
    spans: Vec<Arc<SpanData>>,
    bytes: usize,
    merit: Merit,
    /// What was decided when an earlier root ended: it holds unless there comes another one.
    earlier: Option<Decision>,
}

/// What became of spans.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) kept: Vec<Arc<SpanData>>,
    pub(super) sampled_out: usize,
    /// Dropped for want of memory.
    pub(super) overflowed: usize,
}

/// Why a trace is decided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Its root has ended.
    Root,
    /// It has waited long enough.
    Time,
    Memory,
}

impl TailSampler {
    pub(super) fn new(config: &TailConfig, mapping: &Mapping) -> Self {
        Self {
            merits: Merits::new(config, mapping),
            wait: config.wait,
            most_bytes: config.bytes,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
            decisions: Decisions::new(config.decisions),
        }
    }

    /// Takes a span that ended.
    pub(super) fn offer(&mut self, span: Arc<SpanData>, now: Instant, decided: &mut Decided) {
        let id = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
        if self.decisions.of(id) == Some(Decision::Kept) {
            return decided.kept.push(span);
        }
        let is_local_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        self.hold(id, span, now);
        if is_local_root {
            self.decide(id, Cause::Root, decided);
        }
        while self.bytes > self.most_bytes {
            let Some((_, (oldest, _))) = self.order.first_key_value() else {
                return;
            };
            self.decide(*oldest, Cause::Memory, decided);
        }
    }

    /// Decides traces that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant, decided: &mut Decided) {
        while let Some((_, (oldest, until))) = self.order.first_key_value()
            && *until <= now
        {
            self.decide(*oldest, Cause::Time, decided);
        }
    }

    /// Decides all, at the end.
    pub(super) fn finish(&mut self, decided: &mut Decided) {
        while let Some((_, (oldest, _))) = self.order.first_key_value() {
            self.decide(*oldest, Cause::Time, decided);
        }
    }

    fn hold(&mut self, id: u128, span: Arc<SpanData>, now: Instant) {
        let trace = self.traces.entry(id).or_insert_with(|| {
            let place = self.next;
            self.next += 1;
            // A time that no clock shows is none.
            let until = now.checked_add(self.wait).unwrap_or(now + FOR_GOOD);
            self.order.insert(place, (id, until));
            self.bytes += TRACE;
            Waiting {
                place,
                spans: Vec::new(),
                bytes: TRACE,
                merit: Merit::default(),
                earlier: self.decisions.of(id),
            }
        });
        self.merits.add(&mut trace.merit, &span);
        let bytes = bytes_of(&span);
        trace.bytes += bytes;
        self.bytes += bytes;
        trace.spans.push(span);
    }

    fn decide(&mut self, id: u128, cause: Cause, decided: &mut Decided) {
        let Some(trace) = self.traces.remove(&id) else {
            return;
        };
        self.order.remove(&trace.place);
        self.bytes -= trace.bytes;
        let decision = match (cause, trace.earlier) {
            (Cause::Time | Cause::Memory, Some(earlier)) => earlier,
            (Cause::Memory, None) if !Merits::keep_all_the_same(trace.merit) => {
                Decision::Overflowed
            }
            (Cause::Memory, None) => Decision::Kept,
            (Cause::Root | Cause::Time, _) if self.merits.keep(trace.merit, id) => Decision::Kept,
            (Cause::Root | Cause::Time, _) => Decision::SampledOut,
        };
        self.decisions.remember(id, decision);
        match decision {
            Decision::Kept => decided.kept.extend(trace.spans),
            Decision::SampledOut => decided.sampled_out += trace.spans.len(),
            Decision::Overflowed => decided.overflowed += trace.spans.len(),
        }
    }
}
