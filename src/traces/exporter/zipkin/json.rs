//! Exports spans to Zipkin as v2 JSON: `opentelemetry-zipkin` encodes, this module corrects the JSON, and the crate's own
//! client sends.
//!
//! `opentelemetry-zipkin` has these defects. It writes no service name, without which Zipkin finds nothing, and no remote
//! endpoint. It gives root spans a `parentId` of zeros, which makes them children of a span that never comes. It writes
//! durations of 0, which the schema forbids. It drops the attributes of events, and writes empty fields.
#![expect(
    deprecated,
    reason = "the only exporter for this protocol; OTLP is recommended instead"
)]

use std::time::Duration;

use hyper::{
    HeaderMap,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use opentelemetry::{SpanId, trace::Event};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use opentelemetry_zipkin::ZipkinExporter;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Encoded, Export, Sending,
        console::attributes,
        encode_only_client::{EncodeOnlyClient, poll_once},
        endpoint_client::EndpointClient,
        mapping,
        split_batch::{Part, requests},
    },
    remote,
};
use crate::{
    net::{Protocol, TlsFiles},
    traces::{TracesConfig, TracesError},
};

/// The shortest duration that Zipkin's schema allows.
const MIN_DURATION: Duration = Duration::from_micros(1);

/// Sends spans to Zipkin.
struct Zipkin {
    exporter: ZipkinExporter,
    encoded: EncodeOnlyClient,
    /// The `localEndpoint` of every span.
    endpoint: Value,
    /// The attributes of the resource: Zipkin has no resources, so every span carries them.
    resource: Map<String, Value>,
    client: EndpointClient,
    timeout: Duration,
}

pub(super) fn build(
    config: &TracesConfig,
    resource: &Resource,
) -> Result<Box<dyn Export>, TracesError> {
    let config = &config.zipkin;
    let encoded = EncodeOnlyClient::default();
    let exporter = ZipkinExporter::builder()
        .with_http_client(encoded.clone())
        // The encode-only client calls no address; a set one keeps the encoder from reading an environment variable.
        .with_collector_endpoint("http://localhost/")
        .build()
        .map_err(|_| TracesError::Exporter("zipkin"))?;
    let (mut service, mut rest) = (String::new(), Map::new());
    for (key, value) in resource {
        match key.as_str() {
            // Zipkin's schema: "Lower-case label". Zipkin's own model lowers the name, too.
            "service.name" => service = value.to_string().to_lowercase(),
            key => drop(rest.insert(key.to_owned(), json!(value.to_string()))),
        }
    }
    let files = TlsFiles {
        key: "traces.zipkin",
        certificate: config.certificate.as_ref(),
        client: None,
    };
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
    Ok(Box::new(Zipkin {
        exporter,
        encoded,
        endpoint: json!({ "serviceName": service }),
        resource: rest,
        client: EndpointClient::new(config.address()?, Protocol::Http1, files, headers)?,
        timeout: config.timeout,
    }))
}

impl Export for Zipkin {
    fn address(&self) -> String {
        self.client.endpoint().to_string()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn encode(&self, mut spans: Vec<SpanData>) -> Vec<Part> {
        let items = spans.len();
        spans.iter_mut().for_each(prepare);
        let remotes: Vec<_> = spans.iter().map(remote::endpoint).collect();
        // The encode-only client responds at once and accepts every request.
        let _ = poll_once(self.exporter.export(spans));
        let body = self.encoded.take();
        self.corrected(&body, remotes).unwrap_or_else(|| {
            vec![Part {
                encoded: Encoded { body },
                items,
                is_too_large: false,
            }]
        })
    }

    fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a> {
        Box::pin(self.client.send(request))
    }
}

impl Zipkin {
    fn corrected(&self, body: &Bytes, remotes: Vec<Option<Value>>) -> Option<Vec<Part>> {
        let mut spans: Vec<Map<String, Value>> = serde_json::from_slice(body).ok()?;
        // The exporter keeps the order of the spans.
        for (span, remote) in spans.iter_mut().zip(remotes) {
            let is_root = span
                .get("parentId")
                .is_some_and(|parent| *parent == SpanId::INVALID.to_string());
            if is_root {
                span.remove("parentId");
            }
            // Zipkin's schema forbids equal annotations.
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
            // OpenTelemetry to Zipkin, "Request Payload": empty fields are left out.
            span.retain(|_, value| *value != json!([]) && *value != json!(false));
        }
        let spans: Result<Vec<_>, _> = spans.iter().map(serde_json::to_vec).collect();
        Some(lists(&spans.ok()?))
    }
}

/// JSON arrays below the size limit of a request.
fn lists(spans: &[Vec<u8>]) -> Vec<Part> {
    // A comma or a bracket follows each span, and a bracket precedes the first one.
    let sizes = spans.iter().map(|span| span.len() + 2);
    requests(spans, sizes, |spans| {
        [b"[", &*spans.join(&b','), b"]"].concat()
    })
}

fn prepare(span: &mut SpanData) {
    let took = span.end_time.duration_since(span.start_time);
    if took.unwrap_or_default() < MIN_DURATION {
        span.end_time = span.start_time + MIN_DURATION;
    }
    let extra: Vec<_> = mapping::scope(span).chain(mapping::dropped(span)).collect();
    span.attributes.extend(extra);
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
    use super::{super::super::split_batch::MAX_REQUEST_BYTES, *};

    #[test]
    fn arrays_are_json_and_below_the_size_limit() {
        let span = serde_json::to_vec(&json!({ "name": "x".repeat(1_000_000) })).unwrap();
        let parts = lists(&vec![span; 7]);
        let sizes: Vec<_> = parts.iter().map(|part| part.items).collect();
        assert_eq!(sizes, [3, 3, 1]);
        for part in parts {
            let spans: Vec<Value> = serde_json::from_slice(&part.encoded.body).unwrap();
            assert_eq!(spans.len(), part.items);
            assert!(part.encoded.body.len() <= MAX_REQUEST_BYTES);
        }
    }
}
