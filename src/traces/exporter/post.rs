//! One address that bodies are sent to, by POST over HTTP/1.1.

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{self, HeaderValue},
};

use super::{
    Encoded, ExportError,
    address::uri,
    http::{AGENT, Answer, HttpClient, Version, may_pass, retry_after},
    tls::Files,
};
use crate::{net::Endpoint, traces::TracesError};

/// Where bodies are sent to.
pub(super) struct Post {
    pub(super) address: Endpoint,
    client: HttpClient,
    uri: Uri,
    headers: HeaderMap,
}

impl Post {
    pub(super) fn new(
        address: Endpoint,
        content_type: &'static str,
        files: Files<'_>,
    ) -> Result<Self, TracesError> {
        let uri = uri(&address)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(Self {
            client: HttpClient::new(&uri, Version::One, files)?,
            address,
            uri,
            headers,
        })
    }

    /// Adds a header that is shown to nobody.
    #[cfg(feature = "jaeger")]
    pub(super) fn with_authorization(mut self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.insert(header::AUTHORIZATION, value);
        self
    }

    pub(super) async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        if encoded.body.is_empty() {
            return Err(ExportError::Io("nothing was encoded".to_owned()));
        }
        let mut request = Request::new(Full::new(encoded.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        interpret(&self.client.send(request).await?)
    }
}

/// Such receivers take a batch, or refuse it as a whole.
fn interpret(answer: &Answer) -> Result<usize, ExportError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(0);
    }
    Err(if may_pass(status) {
        ExportError::Later {
            status: status.to_string(),
            after: retry_after(answer),
        }
    } else {
        ExportError::Refused(status.to_string())
    })
}
