//! Wraps a `reqwest::Client` so that its requests are monitored. Responses keep reqwest's own type.
//!
//! The dependency enables none of reqwest's TLS features: the application selects the TLS backend.

use std::{fmt, sync::Arc};

use reqwest::{
    Body, Client, IntoUrl, Method, Request, RequestBuilder, Response, ResponseBuilderExt as _, Url,
};

use super::{
    call::{ClientCall, Outgoing},
    request_builder::MonitoredRequest,
};
use crate::middleware::{error_class, future::monitor_response, observer::CallObserver as _};

/// A `reqwest::Client` for one server, whose requests are monitored.
///
/// The client is used as reqwest's own: `client.post(url).json(&body).send().await`. A request with its redirects counts
/// as one request.
#[derive(Clone, Debug)]
pub struct MonitoredClient {
    client: Client,
    peer: Arc<str>,
}

impl MonitoredClient {
    /// Monitors requests to `peer`: a name that you choose, such as `openai`, from a small fixed set, since it becomes
    /// a label.
    pub fn new(client: Client, peer: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            peer: peer.into(),
        }
    }

    /// Builds a GET request.
    pub fn get(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::GET, url)
    }

    /// Builds a POST request.
    pub fn post(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::POST, url)
    }

    /// Builds a PUT request.
    pub fn put(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::PUT, url)
    }

    /// Builds a PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::PATCH, url)
    }

    /// Builds a DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::DELETE, url)
    }

    /// Builds a HEAD request.
    pub fn head(&self, url: impl IntoUrl) -> MonitoredRequest {
        self.request(Method::HEAD, url)
    }

    /// Builds a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> MonitoredRequest {
        MonitoredRequest::new(self, self.client.request(method, url))
    }

    /// Returns the wrapped client, whose requests are not monitored.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request of a builder of reqwest's, with the client that the builder belongs to.
    ///
    /// # Errors
    ///
    /// Returns the errors of `reqwest`.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let (client, request) = request.build_split();
        self.send_with(&client, request?).await
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// Returns the errors of `reqwest`.
    pub async fn execute(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.send_with(&self.client, request).await
    }

    async fn send_with(
        &self,
        client: &Client,
        mut request: Request,
    ) -> Result<Response, reqwest::Error> {
        // The size of a streaming body is not known in advance.
        let size = match request.body() {
            None => Some(0),
            Some(body) => body.as_bytes().map(|bytes| bytes.len() as u64),
        };
        let method = request.method().clone();
        let url = request.url().clone();
        let outgoing = Outgoing {
            peer: &self.peer,
            method: method.as_str(),
            url: &SanitizedUrl(&url),
            bytes: size,
        };
        let Some(call) = ClientCall::begin(&outgoing, request.headers_mut()) else {
            return client.execute(request).await;
        };
        let sending = client.execute(request);
        match tracing::Instrument::instrument(sending, call.span().clone()).await {
            Ok(response) => Ok(monitor_reqwest_response(response, call)),
            Err(error) => {
                call.on_error(error_class::classify(&error));
                Err(error)
            }
        }
    }
}

/// Wraps the body of a response, so that the call ends with the last byte.
fn monitor_reqwest_response(response: Response, call: ClientCall) -> Response {
    // The conversion to `http::Response` drops the URL; this extension restores it.
    let url = http::Response::builder()
        .url(response.url().clone())
        .body(());
    let mut response = monitor_response(http::Response::<Body>::from(response), Some(call));
    if let Ok(url) = url {
        let (parts, ()) = url.into_parts();
        response.extensions_mut().extend(parts.extensions);
    }
    Response::from(response.map(Body::wrap))
}

/// Displays the address of a request without credentials and query, which may hold secrets.
struct SanitizedUrl<'a>(&'a Url);

impl fmt::Display for SanitizedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(
            f,
            "{}://{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        )?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}
