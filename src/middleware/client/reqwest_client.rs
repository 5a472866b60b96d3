//! `reqwest`: a client whose requests are watched, and whose answers are reqwest's own.
//!
//! None of its TLS features is asked for: whether and how it speaks TLS is the application's to say.

use std::{fmt, sync::Arc};

use reqwest::{
    Body, Client, IntoUrl, Request, RequestBuilder, Response, ResponseBuilderExt as _, Url,
};

use super::{ClientCall, call::Outgoing, layer::watched};
use crate::middleware::class;

/// A `reqwest::Client` for one server, watched.
///
/// It gives and takes what `reqwest` does: requests are built as ever and only sent
/// by [`send`](Self::send). Redirects are followed inside, and are one request.
#[derive(Clone, Debug)]
pub struct MonitoredClient {
    client: Client,
    peer: Arc<str>,
}

impl MonitoredClient {
    /// Watches calls of this server: a name of yours, `openai`, from a small fixed set.
    pub fn new(client: Client, peer: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            peer: peer.into(),
        }
    }

    /// Builds a GET request, for [`send`](Self::send).
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.get(url)
    }

    /// Builds a POST request, for [`send`](Self::send).
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.post(url)
    }

    /// The client itself, for requests of other methods, and for those that are not to be watched.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request that was built by any client, with that client.
    ///
    /// # Errors
    ///
    /// Those of `reqwest`.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let (client, request) = request.build_split();
        self.send_with(&client, request?).await
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// Those of `reqwest`.
    pub async fn execute(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.send_with(&self.client, request).await
    }

    async fn send_with(
        &self,
        client: &Client,
        mut request: Request,
    ) -> Result<Response, reqwest::Error> {
        // A body that streams has no size that is known beforehand.
        let size = match request.body() {
            None => Some(0),
            Some(body) => body.as_bytes().map(|bytes| bytes.len() as u64),
        };
        let method = request.method().clone();
        let url = request.url().clone();
        let outgoing = Outgoing {
            peer: &self.peer,
            method: method.as_str(),
            url: &Target(&url),
            bytes: size,
        };
        let Some(call) = ClientCall::begin(&outgoing, request.headers_mut()) else {
            return client.execute(request).await;
        };
        let sending = client.execute(request);
        match tracing::Instrument::instrument(sending, call.span().clone()).await {
            Ok(response) => Ok(rebuilt(response, call)),
            Err(error) => {
                call.broke(class::of(&error));
                Err(error)
            }
        }
    }
}

/// The same answer, with a body that is watched to its end.
fn rebuilt(response: Response, call: ClientCall) -> Response {
    // On the way through http's type the URL is lost; this is how `reqwest` takes it back.
    let url = http::Response::builder()
        .url(response.url().clone())
        .body(());
    let mut response = watched(http::Response::<Body>::from(response), Some(call));
    if let Ok(url) = url {
        let (parts, ()) = url.into_parts();
        response.extensions_mut().extend(parts.extensions);
    }
    Response::from(response.map(Body::wrap))
}

/// Where a request goes to.
struct Target<'a>(&'a Url);

impl fmt::Display for Target<'_> {
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
