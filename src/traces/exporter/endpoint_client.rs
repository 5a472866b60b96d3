//! Sends request bodies to the endpoint of one exporter.

use hyper::{HeaderMap, StatusCode, Uri, body::Bytes};

#[cfg(any(feature = "jaeger", feature = "zipkin"))]
use super::Encoded;
use super::ExportError;
use crate::{
    net::{Endpoint, OutgoingClient, Protocol, Response, SendError, Settings, Tls, TlsFiles},
    traces::TracesError,
};

/// A client for one endpoint, with the headers of every request.
pub(super) struct EndpointClient {
    endpoint: Endpoint,
    uri: Uri,
    headers: HeaderMap,
    client: OutgoingClient,
}

impl EndpointClient {
    pub(super) fn new(
        endpoint: Endpoint,
        protocol: Protocol,
        files: TlsFiles<'_>,
        headers: HeaderMap,
    ) -> Result<Self, TracesError> {
        // The configuration and the client parse the address by different rules. If they disagree, nothing is sent.
        let uri: Uri = endpoint
            .expose()
            .parse()
            .map_err(|_| TracesError::Address(endpoint.to_string()))?;
        let client = OutgoingClient::with_settings(Settings::new(protocol, Tls::new(files, &[])?));
        client.prepare(&uri);
        Ok(Self {
            endpoint,
            uri,
            headers,
            client,
        })
    }

    /// The endpoint, whose `Display` shows no secret.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a body and returns the complete response, whatever its status.
    pub(super) async fn post(&self, body: Bytes) -> Result<Response, ExportError> {
        let response = self.client.post(&self.uri, &self.headers, body).await?;
        Ok(response.complete()?)
    }

    /// Sends a request to a receiver that accepts or rejects a batch as a whole.
    #[cfg(any(feature = "jaeger", feature = "zipkin"))]
    pub(super) async fn send(&self, request: &Encoded) -> Result<usize, ExportError> {
        if request.body.is_empty() {
            return Err(ExportError::Io("nothing was encoded".to_owned()));
        }
        let response = self.post(request.body.clone()).await?;
        check_status(&response).map(|()| 0)
    }
}

impl From<SendError> for ExportError {
    fn from(error: SendError) -> Self {
        Self::Unreachable(error.root_cause())
    }
}

/// Interprets the status of a response over HTTP. OTLP/HTTP, "Failures": 429, 502, 503 and 504 are retryable, after
/// `Retry-After`; any other failure is final. Jaeger and Zipkin specify nothing better.
pub(super) fn check_status(response: &Response) -> Result<(), ExportError> {
    let status = response.status;
    if status.is_success() {
        Ok(())
    } else if is_retryable(status) {
        Err(ExportError::Retryable {
            status: status.to_string(),
            after: response.retry_after(),
        })
    } else {
        Err(ExportError::Rejected(status.to_string()))
    }
}

fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
