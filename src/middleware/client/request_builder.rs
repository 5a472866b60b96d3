//! Builds a request of a `MonitoredClient`.

use std::{fmt, time::Duration};

use reqwest::{
    Body, Error, RequestBuilder, Response,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;

use super::MonitoredClient;

/// The builder of a monitored request; [`MonitoredRequest::send`] sends the request through the [`MonitoredClient`].
///
/// The methods are those of [`reqwest::RequestBuilder`]. [`MonitoredRequest::map`] gives access to the methods that
/// need a feature of reqwest, such as `query` and `multipart`.
#[derive(Debug)]
#[must_use = "a request does nothing until `send` is awaited"]
pub struct MonitoredRequest {
    client: MonitoredClient,
    builder: RequestBuilder,
}

impl MonitoredRequest {
    pub(super) fn new(client: &MonitoredClient, builder: RequestBuilder) -> Self {
        Self {
            client: client.clone(),
            builder,
        }
    }

    /// Changes the request with reqwest's own builder.
    ///
    /// ```
    /// # use llm_observatory::middleware::client::MonitoredClient;
    /// # let client = MonitoredClient::new(reqwest::Client::new(), "openai");
    /// # let request = client.get("http://127.0.0.1:8000/v1/models");
    /// let request = request.map(|builder| builder.version(reqwest::Version::HTTP_11));
    /// ```
    pub fn map(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self {
            builder: change(self.builder),
            ..self
        }
    }

    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|builder| builder.header(name, value))
    }

    /// Adds headers; they replace headers of the same names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|builder| builder.headers(headers))
    }

    /// Sets the user and the password of basic authentication.
    pub fn basic_auth(self, user: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        self.map(|builder| builder.basic_auth(user, password))
    }

    /// Sets the bearer token.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.map(|builder| builder.bearer_auth(token))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|builder| builder.body(body))
    }

    /// Sets the body to `value` in JSON, and the header `Content-Type` where the request has none.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.map(|builder| builder.json(value))
    }

    /// Sets the time limit of the request, from the connection to the last byte of the response.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|builder| builder.timeout(timeout))
    }

    /// Returns a copy of the request, or `None` if the body is a stream.
    pub fn try_clone(&self) -> Option<Self> {
        Some(Self::new(&self.client, self.builder.try_clone()?))
    }

    /// Returns reqwest's builder. A request that this builder sends is not monitored; see [`MonitoredClient::send`].
    pub fn into_inner(self) -> RequestBuilder {
        self.builder
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// Returns the errors of reqwest, those of building the request included.
    pub async fn send(self) -> Result<Response, Error> {
        self.client.send(self.builder).await
    }
}
