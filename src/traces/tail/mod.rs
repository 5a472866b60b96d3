//! Decides on traces after their end: spans wait in bounded memory until the local root span of their trace has ended.
//!
//! The local root is the span without a parent, or with a remote parent; it ends last. Spans that end after it, such as
//! those of a background task, follow the decision. A trace that enters this process again, such as that of an agent, has
//! another local root: a kept trace stays kept, and a trace that was sampled out is decided again by its new spans. The
//! tail sampler runs only on the exporting thread, so there are no locks.
//!
//! Limit: if a trace has two local roots at the same time, the root that ends first decides on the spans of both.

mod decisions;
mod keep_policy;
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
    keep_policy::{Findings, KeepPolicy},
};
use super::size::bytes_of;
use crate::{observation::Mapping, traces::TailConfig};

/// Bytes of bookkeeping for each waiting trace.
const TRACE_OVERHEAD_BYTES: usize = 256;
/// The wait in place of one beyond the range of the clock.
const MAX_WAIT: Duration = Duration::from_secs(1 << 32);

/// The traces that wait for a decision, and the most recent decisions.
pub(super) struct TailSampler {
    policy: KeepPolicy,
    wait: Duration,
    max_bytes: usize,
    traces: HashMap<u128, Waiting>,
    /// Traces in the order of their first spans, with the end of their wait.
    order: BTreeMap<u64, (u128, Instant)>,
    next: u64,
    bytes: usize,
    decisions: Decisions,
}

/// A trace that waits for a decision.
struct Waiting {
    place: u64,
    spans: Vec<Arc<SpanData>>,
    bytes: usize,
    findings: Findings,
    /// The decision at the end of an earlier local root, valid unless another local root ends.
    earlier: Option<Decision>,
}

/// The results of decisions.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) kept: Vec<Arc<SpanData>>,
    pub(super) sampled_out: usize,
    /// Spans of traces that were evicted.
    pub(super) overflowed: usize,
}

/// The reason for a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The local root has ended.
    Root,
    /// The wait is over.
    Timeout,
    /// The memory limit is reached.
    Memory,
}

impl TailSampler {
    pub(super) fn new(config: &TailConfig, mapping: &Mapping) -> Self {
        Self {
            policy: KeepPolicy::new(config, mapping),
            wait: config.wait,
            max_bytes: config.bytes,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
            decisions: Decisions::new(config.decisions),
        }
    }

    /// Adds a span that has ended.
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
        while self.bytes > self.max_bytes {
            let Some((_, (oldest, _))) = self.order.first_key_value() else {
                return;
            };
            self.decide(*oldest, Cause::Memory, decided);
        }
    }

    /// Decides on traces whose wait is over.
    pub(super) fn expire(&mut self, now: Instant, decided: &mut Decided) {
        while let Some((_, (oldest, until))) = self.order.first_key_value()
            && *until <= now
        {
            self.decide(*oldest, Cause::Timeout, decided);
        }
    }

    /// Decides on all traces, at the shutdown.
    pub(super) fn finish(&mut self, decided: &mut Decided) {
        while let Some((_, (oldest, _))) = self.order.first_key_value() {
            self.decide(*oldest, Cause::Timeout, decided);
        }
    }

    fn hold(&mut self, id: u128, span: Arc<SpanData>, now: Instant) {
        let trace = self.traces.entry(id).or_insert_with(|| {
            let place = self.next;
            self.next += 1;
            // Adding a very long wait may exceed the range of the clock.
            let until = now.checked_add(self.wait).unwrap_or(now + MAX_WAIT);
            self.order.insert(place, (id, until));
            self.bytes += TRACE_OVERHEAD_BYTES;
            Waiting {
                place,
                spans: Vec::new(),
                bytes: TRACE_OVERHEAD_BYTES,
                findings: Findings::default(),
                earlier: self.decisions.of(id),
            }
        });
        self.policy.add(&mut trace.findings, &span);
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
            (Cause::Timeout | Cause::Memory, Some(earlier)) => earlier,
            (Cause::Memory, None) if !KeepPolicy::keeps_on_overflow(trace.findings) => {
                Decision::Overflowed
            }
            (Cause::Memory, None) => Decision::Kept,
            (Cause::Root | Cause::Timeout, _) if self.policy.keep(trace.findings, id) => {
                Decision::Kept
            }
            (Cause::Root | Cause::Timeout, _) => Decision::SampledOut,
        };
        self.decisions.remember(id, decision);
        match decision {
            Decision::Kept => decided.kept.extend(trace.spans),
            Decision::SampledOut => decided.sampled_out += trace.spans.len(),
            Decision::Overflowed => decided.overflowed += trace.spans.len(),
        }
    }
}
