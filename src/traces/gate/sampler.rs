//! Tells the SDK which of the spans that the gate lets through are sampled.

use std::sync::Arc;

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, SamplingDecision, SamplingResult, ShouldSample};

use super::deferred_decision::{is_drawn, start_trace};
use crate::traces::sampling::{HeadSampler, RemoteDecision, random};

/// A context value: spans below are not sampled, whatever the flag of a remote parent is.
#[derive(Clone, Copy, Debug)]
struct NeverSampled;

/// The same context, for a trace that is not sampled by this process.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn never_sampled(context: &Context) -> Context {
    context.with_value(NeverSampled)
}

/// Returns true if spans below a context are never sampled.
#[inline]
pub(super) fn is_never_sampled(context: &Context) -> bool {
    context.get::<NeverSampled>().is_some()
}

/// Samples by the flag of the parent. A trace that starts here is sampled, because the gate has let its first span
/// through, unless the head sampler did not draw it.
#[derive(Clone, Debug)]
pub(in crate::traces) struct GateSampler(pub(in crate::traces) Arc<HeadSampler>);

impl ShouldSample for GateSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        if let Some(result) = parent.and_then(below_sampled) {
            return result;
        }
        let span = parent
            .filter(|context| context.has_active_span())
            .map(|context| context.span().span_context().clone())
            .filter(SpanContext::is_valid);
        let is_allowed = !parent.is_some_and(is_never_sampled);
        let is_sampled = match (&span, parent) {
            (Some(span), Some(context)) => is_sampled(&self.0, span, context),
            _ => is_drawn(),
        };
        let remote = parent.and_then(|context| self.0.remote_decision(context));
        let decision = if is_allowed && remote.unwrap_or(is_sampled) {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        };
        result(decision, span.as_ref())
    }
}

/// The result for a child of a sampled span of this process.
#[inline]
fn below_sampled(under: &Context) -> Option<SamplingResult> {
    let span = under.span();
    let parent = span.span_context();
    let is_sampled =
        parent.is_sampled() && !parent.is_remote() && parent.is_valid() && !is_never_sampled(under);
    is_sampled.then(|| result(SamplingDecision::RecordAndSample, Some(parent)))
}

fn result(decision: SamplingDecision, parent: Option<&SpanContext>) -> SamplingResult {
    let trace_state = parent.map(|parent| parent.trace_state().clone());
    SamplingResult {
        decision,
        attributes: Vec::new(),
        trace_state: trace_state.unwrap_or_default(),
    }
}

/// Returns true if the children of `parent`, the active span of `under`, are sampled. The head sampler decides on remote
/// parents.
pub(super) fn is_sampled(sampler: &HeadSampler, parent: &SpanContext, under: &Context) -> bool {
    if !parent.is_remote() {
        return parent.is_sampled();
    }
    let trace_id = u128::from_be_bytes(parent.trace_id().to_bytes());
    sampler.continues(trace_id, RemoteDecision::of_parent(under, parent))
}

/// Generates trace ids on which services that sample by trace id decide alike.
#[derive(Clone, Debug)]
pub(in crate::traces) struct GateIds(pub(in crate::traces) Arc<HeadSampler>);

impl IdGenerator for GateIds {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(self.0.trace_id(start_trace()))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(random().max(1))
    }
}
