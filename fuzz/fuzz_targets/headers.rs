//! Reads trace headers and baggage in every format: no panic, and injected headers read back as the same headers.
//!
//! Each line of the input is a header: `name: value`.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use llm_observatory::{
    Propagator,
    propagation::{extract, inject},
};
use tracing::Span;

const ALL: [Propagator; 5] = [
    Propagator::TraceContext,
    Propagator::Baggage,
    Propagator::B3,
    Propagator::B3Multi,
    Propagator::Jaeger,
];

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value[1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    for propagators in ALL.iter().map(std::slice::from_ref).chain([&ALL[..]]) {
        let once = written(&headers, propagators);
        let twice = written(&once, propagators);
        assert_eq!(once, twice, "{headers:?} by {propagators:?}");
    }
});

/// Returns the headers that a service sends which has received `headers`.
fn written(headers: &HeaderMap, propagators: &[Propagator]) -> HeaderMap {
    let remote = extract(headers, propagators);
    let (_, _, _) = (remote.is_known(), remote.trace_id(), remote.is_sampled());
    let _attached = remote.attach();
    let mut written = HeaderMap::new();
    inject(&Span::none(), &mut written, propagators);
    written
}
