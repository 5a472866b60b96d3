//! Sends OTLP messages of any signal, over HTTP with protobuf or over gRPC.

use std::{io::Write as _, time::Duration};

use flate2::{Compression as Level, write::GzEncoder};
use hyper::{
    HeaderMap,
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

use super::{
    super::{
        Encoded, Export, ExportError, Sending, endpoint_client::EndpointClient, split_batch::Part,
    },
    grpc, http,
    split::{Divisible, split},
};
use crate::{
    net::{Endpoint, Protocol, TlsFiles},
    privacy::Secret,
    traces::{Compression, OtlpConfig, OtlpProtocol, Signal, TracesConfig, TracesError},
};

/// Sends messages of one signal by OTLP.
pub(crate) struct Transport {
    client: EndpointClient,
    protocol: OtlpProtocol,
    compression: Compression,
    timeout: Duration,
    max_request_bytes: usize,
}

/// Sends spans by OTLP.
pub(in crate::traces::exporter) struct Otlp {
    transport: Transport,
    resource: ResourceAttributesWithSchema,
}

pub(super) fn build(
    config: &TracesConfig,
    resource: &Resource,
) -> Result<Box<dyn Export>, TracesError> {
    Ok(Box::new(Otlp {
        transport: Transport::new(&config.otlp, Signal::Traces)?,
        resource: resource.into(),
    }))
}

impl Transport {
    pub(crate) fn new(config: &OtlpConfig, signal: Signal) -> Result<Self, TracesError> {
        Self::to(config.address(signal)?, config, signal, signal.key())
    }

    /// A transport to an endpoint that the configuration names in the section `key`.
    fn to(
        endpoint: Endpoint,
        config: &OtlpConfig,
        signal: Signal,
        key: &'static str,
    ) -> Result<Self, TracesError> {
        let files = TlsFiles {
            key,
            certificate: config.certificate.as_ref(),
            client: config
                .client_certificate
                .as_ref()
                .zip(config.client_key.as_ref()),
        };
        let mut headers = configured_headers(config.headers.iter());
        let is_gzip = config.compression == Compression::Gzip;
        let (endpoint, protocol) = match config.protocol {
            OtlpProtocol::HttpProtobuf => {
                http::add_headers(&mut headers, is_gzip);
                (endpoint, Protocol::Http1)
            }
            OtlpProtocol::Grpc => {
                grpc::add_headers(&mut headers, is_gzip, config.timeout);
                (endpoint.with_path(grpc::method(signal)), Protocol::Http2)
            }
        };
        Ok(Self {
            client: EndpointClient::new(endpoint, protocol, files, headers)?,
            protocol: config.protocol,
            compression: config.compression,
            timeout: config.timeout,
            max_request_bytes: config.request_bytes,
        })
    }

    /// The endpoint, whose `Display` shows no secret.
    pub(crate) fn address(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// Splits a message into requests that the receiver accepts.
    pub(crate) fn parts(&self, message: impl Divisible) -> Vec<Part> {
        let parts = split(message, self.max_request_bytes).into_iter();
        let part = |(message, items)| self.part(&message, items);
        parts.map(part).collect()
    }

    fn part(&self, message: &impl Message, items: usize) -> Part {
        let message = message.encode_to_vec();
        // Receivers limit the size after decompression.
        let is_too_large = message.len() > self.max_request_bytes;
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

    /// Sends a request once, and returns the number of items that the receiver rejected.
    pub(crate) async fn send(&self, request: &Encoded) -> Result<usize, ExportError> {
        let response = self.client.post(request.body.clone()).await?;
        match self.protocol {
            OtlpProtocol::HttpProtobuf => http::interpret(&response),
            OtlpProtocol::Grpc => grpc::interpret(&response),
        }
    }
}

impl Otlp {
    /// An exporter to the endpoint of another section of the configuration.
    pub(in crate::traces::exporter) fn to(
        endpoint: Endpoint,
        config: &OtlpConfig,
        key: &'static str,
        resource: &Resource,
    ) -> Result<Self, TracesError> {
        Ok(Self {
            transport: Transport::to(endpoint, config, Signal::Traces, key)?,
            resource: resource.into(),
        })
    }
}

impl Export for Otlp {
    fn address(&self) -> String {
        self.transport.address().to_string()
    }

    fn timeout(&self) -> Duration {
        self.transport.timeout
    }

    fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
        self.transport.parts(ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        })
    }

    fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a> {
        Box::pin(self.transport.send(request))
    }
}

/// The headers of the configuration. The validation has rejected names and values that cannot be sent.
fn configured_headers<'a>(pairs: impl Iterator<Item = (&'a String, &'a Secret)>) -> HeaderMap {
    pairs
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

/// The number of items that the receiver of an accepted request rejected. The responses of all signals have one shape.
pub(super) fn rejected(message: &[u8]) -> usize {
    // An unreadable message rejects nothing: the status says that the receiver accepted the request.
    ExportTraceServiceResponse::decode(Bytes::copy_from_slice(message))
        .ok()
        .and_then(|response| response.partial_success)
        .map_or(0, |partial| partial.rejected_spans.max(0) as usize)
}
