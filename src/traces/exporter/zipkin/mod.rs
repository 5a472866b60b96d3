//! Zipkin v2 JSON: `opentelemetry-zipkin` encodes, what it leaves out or gets wrong is mended, our own client sends.
//!
//! It names no service, without which Zipkin finds nothing, nor whom a span calls; gives roots a `parentId` of zeros,
//! which makes them children of a span that never comes; writes durations of 0, which the schema forbids; drops
//! attributes of events, and says what is empty.
#![expect(
    deprecated,
    reason = "the one exporter for this protocol; OTLP is recommended instead"
)]

mod remote;

use std::time::Duration;

use hyper::body::Bytes;
use opentelemetry::{SpanId, trace::Event};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use opentelemetry_zipkin::ZipkinExporter;
use serde_json::{Map, Value, json};

use super::{
    Encoded, ExportError,
    console::attributes,
    foreign::{Kept, at_once},
    mapping,
    parts::{MOST_BYTES, Part, packs},
    post::Post,
    tls::Files,
};
use crate::{net::Endpoint, traces::TracesError, traces::ZipkinConfig};

/// A duration is rounded up to it: a span took some time.
const SHORTEST: Duration = Duration::from_micros(1);

/// Sends spans to Zipkin.
pub(in crate::traces) struct Zipkin {
    encoder: ZipkinExporter,
    kept: Kept,
    /// `localEndpoint` of every span.
    endpoint: Value,
    /// What is said of the service: Zipkin knows no resources, so its spans carry it.
    resource: Map<String, Value>,
    post: Post,
    timeout: Duration,
}

impl Zipkin {
    pub(super) fn new(config: &ZipkinConfig, resource: &Resource) -> Result<Self, TracesError> {
        let kept = Kept::default();
        let encoder = ZipkinExporter::builder()
            .with_http_client(kept.clone())
            // Nobody is called there; said here so that no variable of the environment is asked.
            .with_collector_endpoint("http://localhost/")
            .build()
            .map_err(|_| TracesError::Exporter("zipkin"))?;
        let (mut service, mut rest) = (String::new(), Map::new());
        for (key, value) in resource {
            match key.as_str() {
                // "Lower-case label": Zipkin's own model lowers it, too.
                "service.name" => service = value.to_string().to_lowercase(),
                key => drop(rest.insert(key.to_owned(), json!(value.to_string()))),
            }
        }
        Ok(Self {
            encoder,
            kept,
            endpoint: json!({ "serviceName": service }),
            resource: rest,
            post: Post::new(
                config.address()?,
                "application/json",
                Files {
                    key: "traces.zipkin",
                    certificate: config.certificate.as_ref(),
                    client: None,
                },
            )?,
            timeout: config.timeout,
        })
    }

    /// Where it sends.
    pub(super) fn address(&self) -> &Endpoint {
        &self.post.address
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn encode(&self, mut spans: Vec<SpanData>) -> Vec<Part> {
        let count = spans.len();
        spans.iter_mut().for_each(prepare);
        let remotes: Vec<_> = spans.iter().map(remote::endpoint).collect();
        // Its client answers at once, and takes everything.
        let _ = at_once(self.encoder.export(spans));
        let body = self.kept.take();
        self.mended(&body, remotes).unwrap_or_else(|| {
            let encoded = Encoded { body };
            vec![Part {
                encoded,
                items: count,
                is_too_large: false,
            }]
        })
    }

    pub(super) async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        self.post.send(encoded).await
    }

    fn mended(&self, body: &Bytes, remotes: Vec<Option<Value>>) -> Option<Vec<Part>> {
        let mut spans: Vec<Map<String, Value>> = serde_json::from_slice(body).ok()?;
        // In the order in which they were encoded.
        for (span, remote) in spans.iter_mut().zip(remotes) {
            let is_root = span
                .get("parentId")
                .is_some_and(|parent| *parent == SpanId::INVALID.to_string());
            if is_root {
                span.remove("parentId");
            }
            // The schema wants each annotation once; two equal ones say no more than one.
            if let Some(Value::Array(annotations)) = span.get_mut("annotations") {
                let mut seen = Vec::with_capacity(annotations.len());
                annotations.retain(|annotation| {
                    let is_new = !seen.contains(annotation);
                    if is_new {
                        seen.push(annotation.clone());
                    }
                    is_new
                });
            }
            if let Some(Value::Object(tags)) = span.get_mut("tags") {
                for (key, value) in &self.resource {
                    tags.entry(key).or_insert_with(|| value.clone());
                }
            }
            span.insert("localEndpoint".to_owned(), self.endpoint.clone());
            if let Some(remote) = remote {
                span.insert("remoteEndpoint".to_owned(), remote);
            }
            // OpenTelemetry to Zipkin, "Request Payload": what is empty is not said.
            span.retain(|_, value| *value != json!([]) && *value != json!(false));
        }
        let spans: Result<Vec<_>, _> = spans.iter().map(serde_json::to_vec).collect();
        Some(lists(&spans.ok()?))
    }
}

/// Lists of JSON as large as a receiver takes.
fn lists(spans: &[Vec<u8>]) -> Vec<Part> {
    // Each has a comma or a bracket behind it, and all of them a bracket before them.
    let packs = packs(spans.iter().map(|span| span.len() + 1), MOST_BYTES - 1);
    let mut rest = spans;
    let list = |count| {
        let (spans, others) = rest.split_at(count);
        rest = others;
        let body = [b"[", &*spans.join(&b','), b"]"].concat();
        Part {
            is_too_large: body.len() > MOST_BYTES,
            encoded: Encoded { body: body.into() },
            items: count,
        }
    };
    packs.into_iter().map(list).collect()
}

fn prepare(span: &mut SpanData) {
    let took = span.end_time.duration_since(span.start_time);
    if took.unwrap_or_default() < SHORTEST {
        span.end_time = span.start_time + SHORTEST;
    }
    let told: Vec<_> = mapping::scope(span).chain(mapping::dropped(span)).collect();
    span.attributes.extend(told);
    for event in &mut span.events.events {
        event.attributes.extend(mapping::dropped_of_event(event));
        with_attributes(event);
    }
}

/// OpenTelemetry to Zipkin, "Events": an annotation's value is `"name": {attributes as JSON}`.
fn with_attributes(event: &mut Event) {
    if event.attributes.is_empty() {
        return;
    }
    let attributes = Value::Object(attributes(&event.attributes));
    event.name = format!("{}: {attributes}", json!(event.name)).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json_and_no_larger_than_a_receiver_takes() {
        let span = serde_json::to_vec(&json!({ "name": "x".repeat(1_000_000) })).unwrap();
        let parts = lists(&vec![span; 7]);
        let sizes: Vec<_> = parts.iter().map(|part| part.items).collect();
        assert_eq!(sizes, [3, 3, 1]);
        for part in parts {
            let spans: Vec<Value> = serde_json::from_slice(&part.encoded.body).unwrap();
            assert_eq!(spans.len(), part.items);
            assert!(part.encoded.body.len() <= MOST_BYTES);
        }
    }
}
