//! Tests of reading and writing headers in every format.

#[cfg(any(feature = "http", feature = "grpc"))]
mod traced;

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

/// The content of the headers: trace, span, sampled.
fn read(pairs: &[(&'static str, &str)], propagator: Propagator) -> Option<(String, String, bool)> {
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
    // A later version may have more fields.
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
fn written_headers_are_read_again_in_every_format() {
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
fn b3_headers_without_ids_or_decision_are_passed_on_unchanged() {
    let ids = format!("{TRACE}-{SPAN}");
    for value in ["0", "1", "d", &ids] {
        let _attached = extract(&headers(&[("b3", value)]), &[Propagator::B3]).attach();
        let mut sent = HeaderMap::new();
        // Headers of the forwarded request.
        sent.insert("x-b3-parentspanid", SPAN.parse().unwrap());
        sent.insert("x-b3-sampled", "1".parse().unwrap());
        inject(&Span::none(), &mut sent, &Propagator::ALL);
        assert_eq!(sent["b3"], value);
        assert!(!sent.contains_key("x-b3-parentspanid"));
        assert_eq!(sent.get("x-b3-traceid").is_some(), value == ids);
        let several = ["x-b3-sampled", "x-b3-flags"].map(|name| sent.get(name));
        let several = several.map(|value| value.map(|value| value.to_str().unwrap()));
        let expected = match value {
            "0" | "1" => [Some(value), None],
            "d" => [None, Some("1")],
            _ => [None, None],
        };
        assert_eq!(several, expected, "{value}");
    }
}

#[test]
fn a_decision_without_ids_yields_to_a_format_that_has_them() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let both = headers(&[("b3", "0"), ("traceparent", &parent)]);
    let remote = extract(&both, &[Propagator::B3, Propagator::TraceContext]);
    assert_eq!((remote.is_known(), remote.is_sampled()), (true, true));
    let remote = extract(&headers(&[("b3", "0")]), &[Propagator::B3]);
    assert_eq!((remote.is_known(), remote.trace_id()), (false, None));
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
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("n{n}={n}")).collect();
        members.join(",")
    };
    assert_eq!(state_of(&members(32)), members(32));
    let with_blanks = members(32).replace(',', ", ,");
    assert_eq!(state_of(&with_blanks), members(32));
    assert_eq!(state_of(&members(33)), "");
}

#[test]
fn a_trace_state_of_another_parent_does_not_go_on() {
    let own = remote(7, 9, true, TraceState::default()).unwrap();
    let _attached = Context::new().with_remote_span_context(own).attach();
    let came = format!("00-{TRACE}-{SPAN}-01");
    let mut sent = headers(&[("traceparent", &came), ("tracestate", "a=1")]);
    inject(&Span::none(), &mut sent, &[Propagator::TraceContext]);
    assert_ne!(sent["traceparent"], came);
    assert_eq!(sent.get("tracestate"), None);
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

fn baggage_of(pairs: &[(&'static str, &str)], propagator: Propagator) -> Remote {
    extract(&headers(pairs), &[propagator])
}

#[test]
fn baggage_of_more_members_than_go_on_is_dropped_whole() {
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("n{n}={n}")).collect();
        // Blank members are not counted.
        members.join(", ,")
    };
    let w3c = |count| baggage_of(&[("baggage", &members(count))], Propagator::Baggage);
    assert_eq!(w3c(64).baggage("n63"), Some("63"));
    assert_eq!(w3c(65).baggage("n0"), None);
    let mut headers = HeaderMap::new();
    for n in 0..65 {
        let name = http::HeaderName::try_from(format!("uberctx-n{n}")).unwrap();
        let before = extract(&headers, &[Propagator::Jaeger]);
        assert_eq!(before.baggage("n0").is_some(), n > 0);
        headers.insert(name, "1".parse().unwrap());
    }
    let jaeger = extract(&headers, &[Propagator::Jaeger]);
    assert_eq!(jaeger.baggage("n0"), None);
}

#[test]
fn a_value_of_baggage_that_is_no_text_is_marked_and_kept() {
    let remote = baggage_of(&[("baggage", "a=x%FFy,b=100%")], Propagator::Baggage);
    assert_eq!(remote.baggage("a"), Some("x\u{fffd}y"));
    assert_eq!(remote.baggage("b"), Some("100%"));
}

#[test]
fn metadata_that_no_header_holds_costs_no_more_than_itself() {
    let mut entries = Baggage::new();
    entries.insert_with_metadata("a", "1", "line\nbreak");
    entries.insert_with_metadata("b", "2", "x,y=3");
    entries.insert_with_metadata("c", "3", "p=1; q");
    let _attached = Context::new().with_baggage(entries).attach();
    let mut sent = HeaderMap::new();
    inject(&Span::none(), &mut sent, &[Propagator::Baggage]);
    let mut members: Vec<&str> = sent["baggage"].to_str().unwrap().split(',').collect();
    members.sort_unstable();
    assert_eq!(members, ["a=1", "b=2", "c=3;p=1; q"]);
}

#[test]
fn jaeger_s_baggage_stands_in_headers_of_its_own() {
    let pairs = [
        ("uberctx-key1", "value%201%20%2F%20blah"),
        ("uberctx-go", "a+b%2Bc"),
        ("uberctx-", "nameless"),
    ];
    let remote = baggage_of(&pairs, Propagator::Jaeger);
    assert_eq!(remote.baggage("key1"), Some("value 1 / blah"));
    assert_eq!(remote.baggage("go"), Some("a b+c"));
    assert_eq!(
        baggage_of(&pairs, Propagator::Baggage).baggage("key1"),
        None
    );
    let _attached = remote.attach();
    let mut sent = HeaderMap::new();
    inject(&Span::none(), &mut sent, &[Propagator::Jaeger]);
    assert_eq!(sent["uberctx-key1"], "value%201%20%2F%20blah");
    assert_eq!(sent["uberctx-go"], "a%20b%2Bc");
    assert_eq!(sent.len(), 2);
}
