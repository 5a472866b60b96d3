//! What the SDK is told about spans that the gate lets through.

use std::{fmt, sync::Arc};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, SamplingDecision, SamplingResult, ShouldSample};

use super::verdict;
use crate::traces::sampling::{Elsewhere, HeadSampler, random};

/// In a context: what is below it is not kept, whatever a parent elsewhere says.
#[derive(Clone, Copy, Debug)]
struct Thinned;

/// The same context, for a trace that is not to be kept here.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn not_kept(context: &Context) -> Context {
    context.with_value(Thinned)
}

/// A parent's flag counts; a trace that begins here is kept, because the gate let it through, unless the span says that
/// it is not.
#[derive(Clone, Debug)]
pub(in crate::traces) struct GateSampler(pub(in crate::traces) Arc<HeadSampler>);

impl ShouldSample for GateSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        if let Some(result) = parent.and_then(as_its_parent) {
            return result;
        }
        let span = parent
            .filter(|context| context.has_active_span())
            .map(|context| context.span().span_context().clone())
            .filter(SpanContext::is_valid);
        let is_thinned = parent.is_some_and(|context| context.get::<Thinned>().is_some());
        let is_kept = !is_thinned
            && match &span {
                Some(span) => parent.is_some_and(|under| is_sampled(&self.0, span, under)),
                None => verdict::is_kept(attributes),
            };
        let told = parent.and_then(|context| self.0.told(context));
        SamplingResult {
            decision: if told.map_or(is_kept, |told| told && !is_thinned) {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: span.map_or_else(Default::default, |span| span.trace_state().clone()),
        }
    }
}

/// What is below a span of this process that is recorded is recorded, too, unless it is to be thinned.
#[inline]
fn as_its_parent(under: &Context) -> Option<SamplingResult> {
    let span = under.span();
    let parent = span.span_context();
    let is_recorded = parent.is_sampled()
        && !parent.is_remote()
        && parent.is_valid()
        && under.get::<Thinned>().is_none();
    is_recorded.then(|| SamplingResult {
        decision: SamplingDecision::RecordAndSample,
        attributes: Vec::new(),
        trace_state: parent.trace_state().clone(),
    })
}

/// Whether the children of a span are sampled, which is the one in `under`. What began elsewhere is the sampler's to
/// judge.
pub(super) fn is_sampled(sampler: &HeadSampler, parent: &SpanContext, under: &Context) -> bool {
    if !parent.is_remote() {
        return parent.is_sampled();
    }
    let trace_id = u128::from_be_bytes(parent.trace_id().to_bytes());
    sampler.continues(trace_id, Elsewhere::continues(under, parent))
}

/// Ids of which others that draw by trace id say the same.
#[derive(Clone)]
pub(in crate::traces) struct GateIds(pub(in crate::traces) Arc<HeadSampler>);

impl IdGenerator for GateIds {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(self.0.trace_id(!verdict::begin()))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(random().max(1))
    }
}

impl fmt::Debug for GateIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GateIds")
    }
}
