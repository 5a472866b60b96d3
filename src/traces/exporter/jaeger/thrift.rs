//! Implements Jaeger's Thrift over HTTP (`…:14268/api/traces`): `opentelemetry-jaeger` encodes, the crate's own client
//! sends.
//!
//! The last release of `opentelemetry-jaeger` was built for OpenTelemetry 0.23, so spans are converted to the types of
//! that version.

use std::{sync::Mutex, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use opentelemetry_sdk_0_23::{
    Resource as OldResource, export::trace::SpanExporter as _, runtime::Tokio, trace::Config,
};

use super::{build::KEY, convert};
use crate::{
    net::{Protocol, TlsFiles},
    runtime::lock,
    traces::{
        JaegerConfig, TracesError,
        exporter::{
            Encoded, Export, Sending,
            encode_only_client::{EncodeOnlyClient, poll_once},
            endpoint_client::EndpointClient,
            split_batch::{Part, requests},
        },
        size::bytes_of,
    },
};

/// Sends spans to Jaeger by Thrift.
pub(super) struct Thrift {
    encoder: Mutex<Encoder>,
    encoded: EncodeOnlyClient,
    client: EndpointClient,
    timeout: Duration,
}

#[expect(
    deprecated,
    reason = "the only exporter for this protocol; OTLP is recommended instead"
)]
type Encoder = opentelemetry_jaeger::Exporter;

impl Thrift {
    pub(super) fn new(config: &JaegerConfig, resource: &Resource) -> Result<Self, TracesError> {
        let encoded = EncodeOnlyClient::default();
        let files = TlsFiles {
            key: KEY,
            certificate: config.certificate.as_ref(),
            client: None,
        };
        let mut headers = HeaderMap::new();
        let thrift = HeaderValue::from_static("application/vnd.apache.thrift.binary");
        headers.insert(CONTENT_TYPE, thrift);
        if let Some(user) = &config.user {
            let password = config.password.as_ref().map_or("", |p| p.expose());
            headers.insert(AUTHORIZATION, basic(user, password));
        }
        Ok(Self {
            encoder: Mutex::new(encoder(&encoded, resource)?),
            encoded,
            client: EndpointClient::new(config.address()?, Protocol::Http1, files, headers)?,
            timeout: config.timeout,
        })
    }

    fn encode_request(&self, spans: &[SpanData]) -> Bytes {
        let spans = spans.iter().map(convert::span).collect();
        let exported = {
            let mut encoder = lock(&self.encoder);
            encoder.export(spans)
        };
        // The encode-only client responds at once and accepts every request.
        let _ = poll_once(exported);
        self.encoded.take()
    }
}

impl Export for Thrift {
    fn address(&self) -> String {
        self.client.endpoint().to_string()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Groups spans by their size in memory, which is above their size in Thrift: the encoded size is only known
    /// afterwards.
    fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
        let sizes = spans.iter().map(bytes_of);
        requests(&spans, sizes, |spans| self.encode_request(spans))
    }

    fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a> {
        Box::pin(self.client.send(request))
    }
}

#[expect(
    deprecated,
    reason = "the only exporter for this protocol; OTLP is recommended instead"
)]
fn encoder(client: &EncodeOnlyClient, resource: &Resource) -> Result<Encoder, TracesError> {
    let resource = resource
        .iter()
        .map(|(key, value)| convert::pair(key, value));
    opentelemetry_jaeger::new_collector_pipeline()
        // The encode-only client calls no address, but an environment variable would override a missing one.
        .with_endpoint("http://localhost/api/traces")
        .with_trace_config(Config::default().with_resource(OldResource::new(resource)))
        .with_http_client(client.clone())
        .build_collector_exporter::<Tokio>()
        .map_err(|_| TracesError::Exporter("jaeger"))
}

/// RFC 7617: base64 of `user:password`.
fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    // Base64 is ASCII, so the conversion cannot fail.
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
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
