//! Jaeger's Thrift over HTTP (`…:14268/api/traces`): `opentelemetry-jaeger` encodes, our own client sends.
//!
//! Its last release was built for OpenTelemetry 0.23, so spans are told to it in the types of that one.

mod convert;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use opentelemetry_sdk::{Resource, trace::SpanData};
use opentelemetry_sdk_0_23::{
    Resource as OldResource, export::trace::SpanExporter as _, runtime::Tokio, trace::Config,
};

use super::{
    Encoded, ExportError,
    foreign::{Kept, at_once},
    parts::{MOST_BYTES, Part, packs},
    post::Post,
    tls::Files,
};
use crate::{
    net::Endpoint,
    traces::JaegerConfig,
    traces::{TracesError, size::bytes_of},
};

const CONTENT_TYPE: &str = "application/vnd.apache.thrift.binary";

/// Sends spans to Jaeger by Thrift.
pub(in crate::traces) struct Thrift {
    encoder: Mutex<Encoder>,
    kept: Kept,
    post: Post,
    timeout: Duration,
}

#[expect(
    deprecated,
    reason = "the one exporter for this protocol; OTLP is recommended instead"
)]
type Encoder = opentelemetry_jaeger::Exporter;

impl Thrift {
    pub(super) fn new(config: &JaegerConfig, resource: &Resource) -> Result<Self, TracesError> {
        let kept = Kept::default();
        let files = Files {
            key: "traces.jaeger",
            certificate: config.certificate.as_ref(),
            client: None,
        };
        let post = Post::new(config.address()?, CONTENT_TYPE, files)?;
        let post = match &config.user {
            None => post,
            Some(user) => post.with_authorization(basic(
                user,
                config.password.as_ref().map_or("", |p| p.expose()),
            )),
        };
        Ok(Self {
            encoder: Mutex::new(encoder(&kept, resource)?),
            kept,
            post,
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

    /// Thrift's bytes are known when they are written; those in memory are some more.
    pub(super) fn encode(&self, mut spans: &[SpanData]) -> Vec<Part> {
        let packs = packs(spans.iter().map(bytes_of), MOST_BYTES);
        let mut parts = Vec::with_capacity(packs.len());
        for count in packs {
            let (pack, rest) = spans.split_at(count);
            spans = rest;
            let encoded = self.encoded(pack);
            parts.push(Part {
                is_too_large: encoded.body.len() > MOST_BYTES,
                encoded,
                items: count,
            });
        }
        parts
    }

    fn encoded(&self, spans: &[SpanData]) -> Encoded {
        let spans = spans.iter().map(convert::span).collect();
        let exported = {
            let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
            encoder.export(spans)
        };
        // Its client answers at once, and takes everything.
        let _ = at_once(exported);
        Encoded {
            body: self.kept.take(),
        }
    }

    pub(super) async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        self.post.send(encoded).await
    }
}

#[expect(
    deprecated,
    reason = "the one exporter for this protocol; OTLP is recommended instead"
)]
fn encoder(kept: &Kept, resource: &Resource) -> Result<Encoder, TracesError> {
    let resource = resource
        .iter()
        .map(|(key, value)| convert::pair(key, value));
    opentelemetry_jaeger::new_collector_pipeline()
        // Nobody is called there; a variable of the environment would stand over it all the same.
        .with_endpoint("http://localhost/api/traces")
        .with_trace_config(Config::default().with_resource(OldResource::new(resource)))
        .with_http_client(kept.clone())
        .build_collector_exporter::<Tokio>()
        .map_err(|_| TracesError::Exporter("jaeger"))
}

/// RFC 7617: base64 of `user:password`.
fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    // Base64 is ASCII.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Basic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7617, 2.
    #[test]
    fn user_and_password_are_base64() {
        let value = basic("Aladdin", "open sesame");
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
