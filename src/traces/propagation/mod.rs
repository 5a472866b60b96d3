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
mod w3c;

use http::HeaderMap;
use opentelemetry::{
    Context, ContextGuard, SpanId, TraceFlags, TraceId,
    baggage::{BaggageExt as _, KeyValueMetadata},
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::gate;
use crate::config::Propagator;

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
        self.0.has_active_span()
    }

    /// The trace, if one is named.
    #[must_use]
    pub fn trace_id(&self) -> Option<u128> {
        let id = self.0.span().span_context().trace_id();
        self.is_known().then(|| u128::from_be_bytes(id.to_bytes()))
    }

    /// Whether the trace is kept where it comes from.
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

/// Reads what the headers of a request say; of several formats that name a trace, the first counts.
#[must_use]
pub fn extract(headers: &HeaderMap, propagators: &[Propagator]) -> Remote {
    let mut context = Context::new();
    let found = propagators.iter().find_map(|propagator| match propagator {
        Propagator::TraceContext => w3c::extract(headers),
        Propagator::B3 | Propagator::B3Multi => b3::extract(headers),
        Propagator::Jaeger => jaeger::extract(headers),
        Propagator::Baggage => None,
    });
    if let Some(found) = found {
        context = context.with_remote_span_context(found);
    }
    if propagators.contains(&Propagator::Baggage) {
        let entries = baggage::extract(headers);
        if !entries.is_empty() {
            context = context.with_baggage(entries);
        }
    }
    Remote(context)
}

/// Writes what the next service needs to know of `span`, in every one of the formats.
pub fn inject(span: &Span, headers: &mut HeaderMap, propagators: &[Propagator]) {
    let own = span
        .with_subscriber(|(id, dispatch)| gate::context_of(dispatch, id))
        .flatten();
    // No traces, or no such span: what came in goes on.
    let own = own
        .unwrap_or_else(|| Context::map_current(|current| current.span().span_context().clone()));
    for propagator in propagators {
        match propagator {
            Propagator::Baggage => {
                Context::map_current(|current| baggage::inject(current.baggage(), headers));
            }
            _ if !own.is_valid() => {}
            Propagator::TraceContext => w3c::inject(&own, headers),
            Propagator::B3 => b3::inject_single(&own, headers),
            Propagator::B3Multi => b3::inject_multi(&own, headers),
            Propagator::Jaeger => jaeger::inject(&own, headers),
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
        let entries: Vec<KeyValueMetadata> = context
            .baggage()
            .iter()
            .map(|(key, (value, about))| {
                KeyValueMetadata::new(key.clone(), value.clone(), about.clone())
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

/// A request goes out for `span`: its server may want to know.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn sent(span: &Span, headers: &mut HeaderMap) {
    span.with_subscriber(|(_, dispatch)| {
        gate::propagators_of(dispatch, |all| inject(span, headers, all));
    });
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
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// What is read: trace, span, sampled.
    fn read(
        pairs: &[(&'static str, &str)],
        propagator: Propagator,
    ) -> Option<(String, String, bool)> {
        let remote = extract(&headers(pairs), &[propagator]);
        let context = remote.0.span().span_context().clone();
        remote.is_known().then(|| {
            (
                context.trace_id().to_string(),
                context.span_id().to_string(),
                context.is_sampled(),
            )
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with what was read")]
    fn known(is_sampled: bool) -> Option<(String, String, bool)> {
        Some((TRACE.to_owned(), SPAN.to_owned(), is_sampled))
    }

    #[test]
    fn traceparent_is_read_by_the_letter_of_the_recommendation() {
        let of = |value: &str| read(&[("traceparent", value)], Propagator::TraceContext);
        assert_eq!(of(&format!("00-{TRACE}-{SPAN}-01")), known(true));
        assert_eq!(of(&format!("00-{TRACE}-{SPAN}-02")), known(false));
        // A later version may say more.
        assert_eq!(of(&format!("cc-{TRACE}-{SPAN}-01-more")), known(true));
        for bad in [
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}"),
            String::new(),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        let pairs = [
            ("traceparent", twice.as_str()),
            ("traceparent", twice.as_str()),
        ];
        assert_eq!(read(&pairs, Propagator::TraceContext), None);
    }

    #[test]
    fn b3_and_jaeger_are_read() {
        let single = |value: &str| read(&[("b3", value)], Propagator::B3);
        assert_eq!(single(&format!("{TRACE}-{SPAN}-1")), known(true));
        assert_eq!(single(&format!("{TRACE}-{SPAN}-d")), known(true));
        assert_eq!(single(&format!("{TRACE}-{SPAN}-0-{SPAN}")), known(false));
        assert_eq!(single("0"), None);
        let short = Some((format!("{SPAN:0>32}"), SPAN.to_owned(), true));
        assert_eq!(single(&format!("{SPAN}-{SPAN}-1")), short, "ids of 64 bits");
        let multi = |sampled: &'static str| {
            [
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-sampled", sampled),
            ]
        };
        assert_eq!(read(&multi("1"), Propagator::B3Multi), known(true));
        assert_eq!(read(&multi("0"), Propagator::B3Multi), known(false));
        let jaeger = |value: &str| read(&[("uber-trace-id", value)], Propagator::Jaeger);
        assert_eq!(jaeger(&format!("{TRACE}:{SPAN}:0:1")), known(true));
        assert_eq!(jaeger(&format!("{TRACE}%3A{SPAN}%3A0%3A0")), known(false));
        assert_eq!(
            jaeger(&format!("{TRACE}:f067aa0ba902b7:0:3")),
            known(true),
            "zeros may be left out"
        );
        assert_eq!(jaeger(&format!("{TRACE}:0:0:1")), None);
    }

    #[test]
    fn what_is_written_is_read_again_in_every_format() {
        let own = remote(0xabc << 64 | 0xdef, 0x123, true, TraceState::default()).unwrap();
        for propagator in [
            Propagator::TraceContext,
            Propagator::B3,
            Propagator::B3Multi,
            Propagator::Jaeger,
        ] {
            let mut headers = HeaderMap::new();
            let _attached = Context::new()
                .with_remote_span_context(own.clone())
                .attach();
            inject(&Span::none(), &mut headers, &[propagator]);
            let read = extract(&headers, &[propagator]);
            assert_eq!(read.0.span().span_context(), &own, "{propagator:?}");
        }
    }

    #[test]
    fn tracestate_goes_on_and_a_malformed_one_is_left_out() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let state_of = |state: &str| {
            let found = headers(&[("traceparent", &parent), ("tracestate", state)]);
            let remote = extract(&found, &[Propagator::TraceContext]);
            remote.0.span().span_context().trace_state().header()
        };
        assert_eq!(state_of("a=1,b=2"), "a=1,b=2");
        assert_eq!(state_of("a"), "");
    }

    #[test]
    fn baggage_goes_on_and_what_is_too_much_is_dropped() {
        let of = |value: &str| extract(&headers(&[("baggage", value)]), &[Propagator::Baggage]);
        let remote = of("user=a%20b;secret, tenant = t ,bad");
        assert_eq!(remote.baggage("user"), Some("a b"));
        assert_eq!(remote.baggage("tenant"), Some("t"));
        assert_eq!(remote.baggage("bad"), None);
        let long = format!("a=1,b={}", "x".repeat(9_000));
        assert_eq!(of(&long).baggage("a"), None);
        let _attached = remote.attach();
        let mut headers = HeaderMap::new();
        inject(&Span::none(), &mut headers, &[Propagator::Baggage]);
        let again = extract(&headers, &[Propagator::Baggage]);
        assert_eq!(again.baggage("user"), Some("a b"));
    }
}
