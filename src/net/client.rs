//! Sends GET and POST requests over HTTP/1.1 or HTTP/2.
//!
//! The client follows a redirect only if the redirect keeps method, body, scheme and host (307 and 308 to the same
//! authority): a token in a header must not travel to another host.
#![cfg_attr(
    not(feature = "alerting"),
    allow(unreachable_pub, reason = "public with the feature `alerting` only")
)]

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    body::{Bytes, Incoming},
    header::{HeaderValue, LOCATION, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::{Response, SendError, tls::Tls};

/// Redirects that one request follows.
const MAX_REDIRECTS: usize = 5;
/// Time that an unused HTTP/1.1 connection stays open. Servers close such connections early.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two pings on an HTTP/2 connection in use.
#[cfg(feature = "otlp")]
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Time without a response to a ping after which an HTTP/2 connection is closed.
#[cfg(feature = "otlp")]
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The default of [`Settings::connect_timeout`].
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The value of the `User-Agent` header.
const AGENT: &str = concat!("llm-observatory/", env!("CARGO_PKG_VERSION"));

type HyperClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends HTTP requests for alert channels and exporters. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct OutgoingClient {
    shared: Arc<Shared>,
    /// The pace of each URL that has one, across all channels of this client.
    #[cfg(feature = "alerting")]
    paces: super::pace::Paces,
}

/// The HTTP version that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, or by ALPN over TLS: for gRPC.
    #[cfg(feature = "otlp")]
    Http2,
}

/// The settings of a client.
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    /// Time for a connection, from the name lookup to the end of the TLS handshake.
    pub(crate) connect_timeout: Duration,
    /// Time for a request with its response; `None` where the caller has a deadline.
    pub(crate) timeout: Option<Duration>,
    pub(crate) tls: Tls,
}

struct Shared {
    settings: Settings,
    // Separate, so that the platform's root certificates are read only for an https URL.
    plain: OnceLock<HyperClient>,
    secure: OnceLock<HyperClient>,
}

impl Settings {
    /// The settings of a client whose caller has a deadline.
    #[cfg(feature = "otlp")]
    pub(crate) const fn new(protocol: Protocol, tls: Tls) -> Self {
        Self {
            protocol,
            connect_timeout: CONNECT_TIMEOUT,
            timeout: None,
            tls,
        }
    }

    fn build(&self, is_https: bool) -> HyperClient {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.config(is_https))
            .https_or_http();
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        match self.protocol {
            Protocol::Http1 => builder
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(https.enable_http1().wrap_connector(tcp)),
            // One connection carries every request, so a connection without a peer must be found and closed.
            #[cfg(feature = "otlp")]
            Protocol::Http2 => builder
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .http2_only(true)
                .build(https.enable_http2().wrap_connector(tcp)),
        }
    }
}

impl OutgoingClient {
    pub(crate) fn with_settings(settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                plain: OnceLock::new(),
                secure: OnceLock::new(),
            }),
            #[cfg(feature = "alerting")]
            paces: super::pace::Paces::default(),
        }
    }

    /// Builds the connector for a URL in advance: reads the platform's root certificates if the URL is an https one
    /// and the client has no certificate authority of its own.
    pub(crate) fn prepare(&self, uri: &Uri) {
        self.hyper(uri);
    }

    /// Sends a POST request, follows redirects, and reads the response up to its size limit.
    pub(crate) async fn post(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, SendError> {
        self.request((Method::POST, uri), headers, body).await
    }

    /// Sends a GET request, follows redirects, and reads the response up to its size limit.
    #[cfg(feature = "health")]
    pub(crate) async fn get(&self, uri: &Uri, headers: &HeaderMap) -> Result<Response, SendError> {
        self.request((Method::GET, uri), headers, Bytes::new())
            .await
    }

    async fn request(
        &self,
        (method, uri): (Method, &Uri),
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, SendError> {
        let exchange = self.exchange((method, uri.clone()), headers, body);
        match self.shared.settings.timeout {
            None => exchange.await,
            Some(timeout) => tokio::time::timeout(timeout, exchange)
                .await
                .unwrap_or(Err(SendError::Timeout(timeout))),
        }
    }

    /// The pace of a URL: the same for all clones of this client, with the longest interval asked for.
    #[cfg(feature = "alerting")]
    pub(crate) fn pace(
        &self,
        url: &crate::privacy::Secret,
        interval: Duration,
    ) -> Arc<super::Pace> {
        self.paces.of(url, interval)
    }

    async fn exchange(
        &self,
        (method, mut uri): (Method, Uri),
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, SendError> {
        let mut redirects = 0;
        loop {
            let mut request = Request::builder().method(method.clone()).uri(uri.clone());
            if let Some(all) = request.headers_mut() {
                all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
                all.extend(headers.clone());
            }
            #[cfg(feature = "otlp")]
            if self.shared.settings.protocol == Protocol::Http2 {
                request = request.version(hyper::Version::HTTP_2);
            }
            let request = request.body(Full::new(body.clone()))?;
            let response = self.send(&uri, request).await?;
            match redirect(&uri, &response) {
                Some(next) if redirects < MAX_REDIRECTS => uri = next,
                _ => return Ok(Response::read(response, SystemTime::now()).await),
            }
            redirects += 1;
        }
    }

    async fn send(
        &self,
        uri: &Uri,
        mut request: Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, SendError> {
        let limit = self.shared.settings.connect_timeout;
        let mut connection = capture_connection(&mut request);
        let mut sent = std::pin::pin!(self.hyper(uri).request(request));
        // The limit of the TCP connector ends before the TLS handshake begins, so this limit covers both. A pooled
        // connection counts as connected at once.
        let connected = async {
            connection.wait_for_connection_metadata().await;
        };
        let sent = tokio::select! {
            biased;
            response = &mut sent => response,
            () = connected => sent.await,
            () = tokio::time::sleep(limit) => return Err(SendError::ConnectTimeout(limit)),
        };
        Ok(sent?)
    }

    fn hyper(&self, uri: &Uri) -> &HyperClient {
        let Shared {
            settings,
            plain,
            secure,
        } = &*self.shared;
        match uri.scheme_str() {
            Some("https") => secure.get_or_init(|| settings.build(true)),
            _ => plain.get_or_init(|| settings.build(false)),
        }
    }
}

impl fmt::Debug for OutgoingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingClient")
            .field("protocol", &self.shared.settings.protocol)
            .field("timeout", &self.shared.settings.timeout)
            .finish_non_exhaustive()
    }
}

/// The URL of a redirect that the client follows.
fn redirect(from: &Uri, response: &hyper::Response<Incoming>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 307 | 308) {
        return None;
    }
    next_uri(from, response.headers().get(LOCATION)?.to_str().ok()?)
}

fn next_uri(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    let to: Uri = location.parse().ok()?;
    let is_same_host = to.scheme() == from.scheme() && to.authority() == from.authority();
    is_same_host.then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_only_on_the_same_host() {
        let from: Uri = "https://hooks.example/a?token=1".parse().unwrap();
        let next = |location: &str| next_uri(&from, location).map(|uri| uri.to_string());
        assert_eq!(next("/b").as_deref(), Some("https://hooks.example/b"));
        assert_eq!(
            next("https://hooks.example/c").as_deref(),
            Some("https://hooks.example/c")
        );
        assert_eq!(next("http://hooks.example/c"), None);
        assert_eq!(next("https://evil.example/c"), None);
        assert_eq!(next("//evil.example/c"), None);
    }
}
