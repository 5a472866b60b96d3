//! OTLP, over HTTP with protobuf and over gRPC.
//!
//! Messages are those of `opentelemetry-proto`. The two transports are one HTTP client of our own: a unary gRPC call is
//! one request over HTTP/2 with five bytes before its message, so tonic, and its TLS, are not needed for it.

mod details;
mod grpc;
mod http;
mod split;

use std::{io::Write as _, time::Duration};

use flate2::{Compression as Level, write::GzEncoder};
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Uri,
    body::Bytes,
    header::{HeaderName, HeaderValue},
};
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message;

use self::split::Divisible;
use super::{
    Encoded, ExportError,
    address::uri,
    http::{HttpClient, Version},
    parts::Part,
    tls::Files,
};
pub(crate) use crate::traces::Signal;
use crate::traces::{Compression, JaegerConfig, OtlpConfig, OtlpProtocol, TraceExporter};
use crate::{net::Endpoint, privacy::Secret, traces::TracesError};

/// Sends messages of one signal by OTLP.
pub(crate) struct Transport {
    address: Endpoint,
    client: HttpClient,
    uri: Uri,
    protocol: OtlpProtocol,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
    most_bytes: usize,
}

/// Sends spans by OTLP.
pub(in crate::traces) struct Otlp {
    kind: TraceExporter,
    transport: Transport,
    resource: ResourceAttributesWithSchema,
}

impl Transport {
    pub(crate) fn new(config: &OtlpConfig, signal: Signal) -> Result<Self, TracesError> {
        Self::to(config.address(signal)?, config, signal, signal.key())
    }

    /// `key`: where the configuration stands.
    fn to(
        address: Endpoint,
        config: &OtlpConfig,
        signal: Signal,
        key: &'static str,
    ) -> Result<Self, TracesError> {
        let (address, version) = match config.protocol {
            OtlpProtocol::HttpProtobuf => (address, Version::One),
            OtlpProtocol::Grpc => (address.with_path(grpc::method(signal)), Version::Two),
        };
        let files = Files {
            key,
            certificate: config.certificate.as_ref(),
            client: config
                .client_certificate
                .as_ref()
                .zip(config.client_key.as_ref()),
        };
        let uri = uri(&address)?;
        Ok(Self {
            address,
            client: HttpClient::new(&uri, version, files)?,
            uri,
            protocol: config.protocol,
            headers: headers(config.headers.iter()),
            compression: config.compression,
            timeout: config.timeout,
            most_bytes: config.request_bytes,
        })
    }

    /// Where it sends, as it may be shown.
    pub(crate) fn address(&self) -> &Endpoint {
        &self.address
    }

    /// A request, or as many as the receiver needs.
    pub(crate) fn parts(&self, request: impl Divisible) -> Vec<Part> {
        let parts = split::split(request, self.most_bytes).into_iter();
        let part = |(request, items)| self.part(&request, items);
        parts.map(part).collect()
    }

    fn part(&self, message: &impl Message, items: usize) -> Part {
        let message = message.encode_to_vec();
        // Receivers count what they have decompressed.
        let is_too_large = message.len() > self.most_bytes;
        let message = match self.compression {
            Compression::None => message,
            Compression::Gzip => gzip(&message),
        };
        let body = match self.protocol {
            OtlpProtocol::HttpProtobuf => message,
            OtlpProtocol::Grpc => grpc::frame(&message, self.compression == Compression::Gzip),
        };
        Part {
            encoded: Encoded { body: body.into() },
            items,
            is_too_large,
        }
    }

    /// Sends it once. `Ok` says how much of it the receiver refused.
    pub(crate) async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        let mut request = Request::new(Full::new(encoded.body.clone()));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let is_gzip = self.compression == Compression::Gzip;
        match self.protocol {
            OtlpProtocol::HttpProtobuf => {
                http::add_headers(request.headers_mut(), is_gzip);
                http::interpret(&self.client.send(request).await?)
            }
            OtlpProtocol::Grpc => {
                *request.version_mut() = hyper::Version::HTTP_2;
                grpc::add_headers(request.headers_mut(), is_gzip, self.timeout);
                grpc::interpret(&self.client.send(request).await?)
            }
        }
    }
}

impl Otlp {
    pub(super) fn new(config: &OtlpConfig, resource: &Resource) -> Result<Self, TracesError> {
        Ok(Self {
            kind: TraceExporter::Otlp,
            transport: Transport::new(config, Signal::Traces)?,
            resource: resource.into(),
        })
    }

    /// Jaeger takes OTLP since 1.35.
    pub(super) fn for_jaeger(
        config: &JaegerConfig,
        resource: &Resource,
    ) -> Result<Self, TracesError> {
        let otlp = OtlpConfig {
            protocol: OtlpProtocol::Grpc,
            timeout: config.timeout,
            certificate: config.certificate.clone(),
            ..OtlpConfig::default()
        };
        Ok(Self {
            kind: TraceExporter::Jaeger,
            transport: Transport::to(config.address()?, &otlp, Signal::Traces, "traces.jaeger")?,
            resource: resource.into(),
        })
    }

    /// Where it sends.
    pub(super) fn address(&self) -> &Endpoint {
        self.transport.address()
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.as_str()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.transport.timeout
    }

    pub(super) fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        };
        self.transport.parts(request)
    }

    pub(super) async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        self.transport.send(encoded).await
    }
}

/// Headers that the user set; those that cannot be sent were refused when the configuration was checked.
fn headers<'a>(configured: impl Iterator<Item = (&'a String, &'a Secret)>) -> HeaderMap {
    configured
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            let mut value = HeaderValue::try_from(value.expose()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        })
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// How many spans, or points, a receiver that took the request refused: answers of all signals have one shape.
fn refused(message: &[u8]) -> usize {
    // An answer that cannot be read is no refusal: the status said that it was taken.
    ExportTraceServiceResponse::decode(Bytes::copy_from_slice(message))
        .ok()
        .and_then(|response| response.partial_success)
        .map_or(0, |partial| partial.rejected_spans.max(0) as usize)
}
