//! Carries a trace from one service to the next in headers: W3C Trace Context and Baggage, B3, Jaeger's.
//!
//! [`inject`] writes what the next service needs to know of a span; of a trace that is not kept, too: it has one id,
//! and says that it is not kept, so that the next service does not draw again. [`extract`] reads it. Headers that
//! break their format's rules are left out, as each format asks.
//!
//! ```
//! use http::HeaderMap;
//! use llm_observatory::{Propagator, propagation};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
//! let remote = propagation::extract(&headers, &[Propagator::TraceContext]);
//! assert_eq!(remote.trace_id(), Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736));
//!
//! // Spans made while it is attached belong to the trace.
//! let _attached = remote.attach();
//! let span = tracing::info_span!("http_request");
//! # drop(span);
//! ```

mod b3;
mod baggage;
mod jaeger;
mod percent;
mod said;
mod w3c;

use http::HeaderMap;
use opentelemetry::{
    Context, ContextGuard, SpanId, TraceFlags, TraceId,
    baggage::{Baggage, BaggageExt as _},
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::said::Said;
#[cfg(any(feature = "http", feature = "grpc"))]
use super::gate;
use crate::traces::Propagator;

/// What the headers of a request say of the trace that it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Remote(Context);

/// Ends [`Remote::attach`] when it is dropped, on the thread that it was made on.
#[must_use = "what is attached is detached when this is dropped"]
#[derive(Debug)]
pub struct Attached(#[expect(dead_code, reason = "it is dropped")] ContextGuard);

impl Remote {
    /// Whether a trace is named.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.span().span_context().is_valid()
    }

    /// The trace, if one is named.
    #[must_use]
    pub fn trace_id(&self) -> Option<u128> {
        let id = self.0.span().span_context().trace_id();
        self.is_known().then(|| u128::from_be_bytes(id.to_bytes()))
    }

    /// Whether the trace is kept where it comes from; false, too, where nobody has decided that yet.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.0.span().span_context().is_sampled()
    }

    /// An entry of the baggage.
    #[must_use]
    pub fn baggage(&self, name: &str) -> Option<&str> {
        Some(self.0.baggage().get(name)?.as_str())
    }

    /// Makes it the parent of the spans that this thread makes until the guard is dropped. Do not hold it across an
    /// `.await`.
    pub fn attach(&self) -> Attached {
        Attached(self.0.clone().attach())
    }

    /// Makes it the parent of a span that nobody has entered yet, whose callsite declares `otel.kind`,
    /// `http.request.method` or `rpc.system`.
    ///
    /// Other spans are decided when they are made: [`Remote::attach`] before that.
    pub fn set_parent_of(&self, span: &Span) {
        // It says no where there are no traces, and where the span has been entered.
        let _ = span.set_parent(self.0.clone());
    }
}

/// Reads what the headers of a request say; of several formats that name a trace, the first counts, and so does the
/// first that has baggage.
///
/// A B3 header may say whether a trace is kept and not name it: that is what counts for the trace that begins here, if
/// no format names one. Of a trace that it names it may leave the decision open; the share of traces that is kept here
/// decides it then, by the trace's id.
#[must_use]
pub fn extract(headers: &HeaderMap, propagators: &[Propagator]) -> Remote {
    let mut all = propagators
        .iter()
        .filter_map(|propagator| match propagator {
            Propagator::TraceContext => w3c::extract(headers).map(Said::flagged),
            Propagator::B3 | Propagator::B3Multi => b3::extract(headers),
            Propagator::Jaeger => jaeger::extract(headers),
            Propagator::Baggage => None,
        });
    let mut said = all.next();
    if said.as_ref().is_some_and(|said| !said.has_parent()) {
        said = all.find(Said::has_parent).or(said);
    }
    let mut context = said.map_or_else(Context::new, Said::into_context);
    let entries = propagators
        .iter()
        .map(|propagator| match propagator {
            Propagator::Baggage => baggage::extract(headers),
            Propagator::Jaeger => jaeger::extract_baggage(headers),
            Propagator::TraceContext | Propagator::B3 | Propagator::B3Multi => Baggage::new(),
        })
        .find(|entries| !entries.is_empty());
    if let Some(entries) = entries {
        context = context.with_baggage(entries);
    }
    Remote(context)
}

/// Writes what the next service needs to know of `span`, in every one of the formats.
pub fn inject(span: &Span, headers: &mut HeaderMap, propagators: &[Propagator]) {
    let said = Said::of(span);
    for propagator in propagators {
        Context::map_current(|current| match propagator {
            Propagator::Baggage => baggage::inject(current.baggage(), headers),
            Propagator::Jaeger => jaeger::inject_baggage(current.baggage(), headers),
            Propagator::TraceContext | Propagator::B3 | Propagator::B3Multi => {}
        });
        match propagator {
            Propagator::Baggage => {}
            Propagator::B3 => b3::inject_single(&said, headers),
            Propagator::B3Multi => b3::inject_multi(&said, headers),
            _ if !said.has_parent() => {}
            Propagator::TraceContext => w3c::inject(&said.parent, headers),
            Propagator::Jaeger => jaeger::inject(&said, headers),
        }
    }
}

/// A request came in for `span`, which nobody has entered yet: its trace may have begun elsewhere. `is_kept` is false
/// where it is not to be kept here, whatever others say.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn received(span: &Span, headers: &HeaderMap, is_kept: bool) {
    let remote = span
        .with_subscriber(|(_, dispatch)| {
            gate::propagators_of(dispatch, |all| extract(headers, all))
        })
        .flatten();
    let Some(Remote(mut context)) = remote else {
        return;
    };
    if !context.has_active_span() {
        // Nothing to set, and what is around the span stays its parent.
        if is_kept && context.baggage().is_empty() {
            return;
        }
        let around = span.with_subscriber(|(id, dispatch)| gate::made_in(dispatch, id));
        let entries: Vec<_> = context
            .baggage()
            .iter()
            .map(|(key, (value, about))| {
                let (key, value) = (key.clone(), value.clone());
                opentelemetry::baggage::KeyValueMetadata::new(key, value, about.clone())
            })
            .collect();
        context = around.unwrap_or_default();
        if !entries.is_empty() {
            context = context.with_baggage(entries);
        }
    }
    let context = if is_kept {
        context
    } else {
        gate::not_kept(&context)
    };
    // It says no where the span has been entered.
    let _ = gate::about_recorded(|| span.set_parent(context));
}

/// A request goes out for `span`: its server may want to know. Where nobody wants the span, what came in goes on.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn sent(span: &Span, headers: &mut HeaderMap) {
    let mut write = |dispatch: &tracing::Dispatch| {
        gate::propagators_of(dispatch, |all| inject(span, headers, all));
    };
    if span.is_disabled() {
        // Asked inside, it would know of no current span.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        return write(&dispatch);
    }
    span.with_subscriber(|(_, dispatch)| write(dispatch));
}

/// The value of a header that stands there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(())?;
    value.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Ids are hex; a trace state was checked when it came in.
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// A number of exactly, or at most, so many hex digits.
fn hex(text: &str, is_lower: bool) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() && !(is_lower && byte.is_ascii_uppercase());
    (!text.is_empty() && text.bytes().all(is_digit)).then_some(())?;
    u128::from_str_radix(text, 16).ok()
}

/// What was read, if the ids are ids.
fn remote(
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
    state: TraceState,
) -> Option<SpanContext> {
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let (trace, span) = (TraceId::from(trace_id), SpanId::from(span_id));
    let context = SpanContext::new(trace, span, flags, true, state);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests;
