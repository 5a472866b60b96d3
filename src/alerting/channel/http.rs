//! One attempt over HTTP, and what its answer means.
//!
//! The client brings its own TLS (rustls with ring, and the authorities that the platform trusts, or Mozilla's where
//! it names none) and installs nothing process-wide. It follows a redirect only when that keeps method, body and host
//! (307, 308): a token must not travel to whoever a peer names.

use std::{
    error::Error,
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{Timestamp, fmt::rfc2822};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

use super::{
    FailureClass, NotifyError, Receipt,
    pace::{Pace, Paces},
};
use crate::privacy::Secret;
use crate::runtime::error_text::sentence;

/// Redirects that are followed at most.
const MAX_REDIRECTS: usize = 5;
/// Characters of an answer's first line that an error or a receipt shows.
const MAX_ANSWER_CHARS: usize = 200;
/// Bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 4_096;

/// How we call ourselves.
const AGENT: &str = concat!("llm-observatory/", env!("CARGO_PKG_VERSION"));

/// Sends requests for notifiers. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    connect_timeout: Duration,
    timeout: Duration,
    /// The pace of each address that has one, whichever channels share it.
    paces: Paces,
}

/// What is posted where.
pub(super) struct Post<'a> {
    url: &'a Secret,
    headers: HeaderMap,
    body: Bytes,
    /// What its answer must not be shown to repeat, beside the URL and the headers.
    secret: Option<&'a Secret>,
}

/// What a peer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) first_line: String,
}

/// How the client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Time for a connection, from the name to the end of TLS's handshake. Default: 5 s.
    pub connect_timeout: Duration,
    /// Time for a request and its answer. Default: 10 s.
    pub timeout: Duration,
    /// Authorities to trust instead of the platform's, as DER.
    pub authorities: Vec<Vec<u8>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The TLS configuration cannot be made.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            authorities: Vec::new(),
        }
    }
}

impl HttpOptions {
    /// Sets the times for a connection and for a whole request.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, whole: Duration) -> Self {
        (self.connect_timeout, self.timeout) = (connect, whole);
        self
    }

    /// Trusts this authority instead of the platform's.
    #[must_use]
    pub fn with_authority(mut self, der: Vec<u8>) -> Self {
        self.authorities.push(der);
        self
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Makes a client.
    ///
    /// # Errors
    /// When an authority is no certificate.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&options.authorities)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let inner = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Ok(Self {
            inner,
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
            paces: Paces::default(),
        })
    }

    /// The pace of an address: the same for all clones and channels. The longest interval is its own.
    pub(super) fn pace(&self, url: &Secret, interval: Duration) -> Arc<Pace> {
        self.paces.of(url, interval)
    }

    /// Posts JSON, and reads the answer as the table says: 2xx is success; no connection, 5xx and 429 are worth
    /// another attempt; anything else is not.
    pub(super) async fn post(&self, post: Post<'_>) -> Result<Receipt, NotifyError> {
        self.ask(post).await?.judge()
    }

    /// Posts JSON; an answer is one whatever its status.
    pub(super) async fn ask(&self, post: Post<'_>) -> Result<Answer, NotifyError> {
        let uri: Uri = post
            .url
            .expose()
            .parse()
            .map_err(|_| NotifyError::new(FailureClass::Other, "the URL cannot be read"))?;
        let exchange = self.exchange(uri, post);
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| {
                let text = format!("no answer within {:?}", self.timeout);
                let error = NotifyError::new(FailureClass::DeadlineExceeded, text);
                Err(error.retryable().maybe_received())
            })
    }

    async fn exchange(&self, mut uri: Uri, post: Post<'_>) -> Result<Answer, NotifyError> {
        let hidden = post.hidden(&uri);
        let mut followed = 0;
        loop {
            let mut request = Request::post(uri.clone());
            if let Some(all) = request.headers_mut() {
                all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
                all.extend(post.headers.clone());
            }
            let request = request
                .body(Full::new(post.body.clone()))
                .map_err(|error| NotifyError::new(FailureClass::Other, sentence(&error)))?;
            let response = self.send(request).await?;
            match redirect(&uri, &response) {
                Some(next) if followed < MAX_REDIRECTS => uri = next,
                _ => return Ok(Answer::read(response, &hidden).await),
            }
            followed += 1;
        }
    }
}

impl HttpClient {
    /// Sends one request, once there is a connection.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NotifyError> {
        let mut connection = capture_connection(&mut request);
        let mut sent = std::pin::pin!(self.inner.request(request));
        // The connector's own limit ends before TLS begins; one from the pool is there at once.
        let connected = async {
            connection.wait_for_connection_metadata().await;
        };
        let sent = tokio::select! {
            biased;
            answer = &mut sent => answer,
            () = connected => sent.await,
            () = tokio::time::sleep(self.connect_timeout) => {
                let text = format!("cannot connect: no connection within {:?}", self.connect_timeout);
                return Err(NotifyError::new(FailureClass::DeadlineExceeded, text).retryable());
            }
        };
        sent.map_err(|error| {
            let text = explain(&error, error.is_connect());
            let failure = NotifyError::new(FailureClass::Other, text).retryable();
            if error.is_connect() {
                failure
            } else {
                failure.maybe_received()
            }
        })
    }
}

impl<'a> Post<'a> {
    /// JSON for a URL.
    pub(super) fn new(url: &'a Secret, body: Vec<u8>) -> Self {
        Self {
            url,
            headers: HeaderMap::new(),
            body: body.into(),
            secret: None,
        }
    }

    /// Sends headers beside ours.
    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Names a secret that the body holds.
    pub(super) fn hiding(mut self, secret: &'a Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    fn hidden(&self, uri: &Uri) -> Vec<String> {
        let mut hidden = secrets(uri, &self.headers);
        let whole = [Some(self.url), self.secret].into_iter().flatten();
        hidden.extend(whole.map(|secret| secret.expose().to_owned()));
        // One may be part of another.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        hidden
    }
}

impl Answer {
    async fn read(response: Response<Incoming>, hidden: &[String]) -> Self {
        Self {
            status: response.status(),
            retry_after: retry_after(response.headers()),
            first_line: first_line(response.into_body(), hidden).await,
        }
    }

    /// Status and first line, for a person.
    pub(super) fn text(&self) -> String {
        if self.first_line.is_empty() {
            self.status.to_string()
        } else {
            format!("{}: {}", self.status, self.first_line)
        }
    }

    /// What the status means.
    pub(super) fn judge(&self) -> Result<Receipt, NotifyError> {
        match class_of(self.status) {
            None => Ok(Receipt::new(self.text())),
            Some((class, true)) => {
                let error = NotifyError::new(class, self.text()).retryable();
                Err(error.after(self.retry_after))
            }
            Some((class, false)) => Err(NotifyError::new(class, self.text())),
        }
    }
}

/// The class of a failure and whether another attempt can help; `None` for success.
fn class_of(status: StatusCode) -> Option<(FailureClass, bool)> {
    match status.as_u16() {
        200..=299 => None,
        429 => Some((FailureClass::RateLimited, true)),
        401 | 403 => Some((FailureClass::AuthError, false)),
        500.. => Some((FailureClass::ServerError, true)),
        _ => Some((FailureClass::ClientError, false)),
    }
}

/// Seconds, or a date; against the peer's own clock where it tells that.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let told = headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(date);
    let now = match told {
        Some(now) => now,
        None => Timestamp::try_from(SystemTime::now()).ok()?,
    };
    let wait_ms = date(text)?.as_millisecond() - now.as_millisecond();
    Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)))
}

/// Letters from which on a part of a URL or a header is taken for a secret: shorter ones are words.
const SECRET_CHARS: usize = 8;

/// What a peer must not be shown to repeat: parts of the path and the query, and the headers.
fn secrets(uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let parts = path.split(['/', '?', '&', '=']);
    let values = headers.values().filter_map(|value| value.to_str().ok());
    // `Bearer …`: the peer may repeat the token alone.
    let values = values.flat_map(|value| value.split(' '));
    parts
        .chain(values)
        .filter(|part| part.len() >= SECRET_CHARS)
        .map(str::to_owned)
        .collect()
}

async fn first_line(mut body: Incoming, hidden: &[String]) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            Some(Err(_)) | None => break,
        }
    }
    shown(&String::from_utf8_lossy(&bytes), hidden)
}

/// The first line that says something, without what must not be shown. Cut last: half a secret is one, too.
fn shown(text: &str, hidden: &[String]) -> String {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let hide = |line: String, secret: &String| line.replace(secret, "***");
    let line = hidden.iter().fold(line.trim().to_owned(), hide);
    let printable = line.chars().filter(|c| !c.is_control());
    printable.take(MAX_ANSWER_CHARS).collect()
}

/// Where to go on, if the answer is a redirect that may be followed.
fn redirect(from: &Uri, response: &Response<Incoming>) -> Option<Uri> {
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

fn tls(authorities: &[Vec<u8>]) -> Result<ClientConfig, rustls::Error> {
    use hyper_rustls::ConfigBuilderExt as _;

    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    if authorities.is_empty() {
        return Ok(match builder.clone().with_native_roots() {
            Ok(builder) => builder.with_no_client_auth(),
            Err(error) => {
                tracing::debug!(%error, "this machine names no certificate authorities: using Mozilla's");
                builder.with_webpki_roots().with_no_client_auth()
            }
        });
    }
    let mut roots = RootCertStore::empty();
    for der in authorities {
        roots.add(CertificateDer::from(der.clone()))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What went wrong with a request: no trust, no connection (the cause says whether it was the name), or a broken one.
fn explain(error: &(dyn Error + 'static), is_connect: bool) -> String {
    let step = if is_tls(error) {
        "TLS failed"
    } else if is_connect {
        "cannot connect"
    } else {
        "the connection broke"
    };
    // The client's own words say no more than that.
    let cause = error.source().map_or_else(|| error.to_string(), sentence);
    format!("{step}: {cause}")
}

/// Whether rustls is among the causes. An I/O error hides its own from `source`.
pub(super) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    inner.is_some_and(|inner| is_tls(inner)) || error.source().is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_what_the_table_says() {
        for (status, expected) in [
            (200, None),
            (204, None),
            (307, Some((FailureClass::ClientError, false))),
            (400, Some((FailureClass::ClientError, false))),
            (401, Some((FailureClass::AuthError, false))),
            (403, Some((FailureClass::AuthError, false))),
            (408, Some((FailureClass::ClientError, false))),
            (429, Some((FailureClass::RateLimited, true))),
            (500, Some((FailureClass::ServerError, true))),
            (503, Some((FailureClass::ServerError, true))),
        ] {
            assert_eq!(
                class_of(StatusCode::from_u16(status).unwrap()),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn a_secret_that_a_peer_repeats_is_not_shown() {
        let uri: Uri = "https://h.example/hook/canary-path?token=canary-query"
            .parse()
            .unwrap();
        let bearer = HeaderValue::from_static("Bearer canary-header");
        let headers = HeaderMap::from_iter([(hyper::header::AUTHORIZATION, bearer)]);
        let url = Secret::new(uri.to_string());
        let key = Secret::new("canary-key");
        let post = Post::new(&url, Vec::new()).with_headers(headers);
        let hidden = post.hiding(&key).hidden(&uri);
        let long = format!("{}canary-path", "x".repeat(MAX_ANSWER_CHARS - 4));
        for said in [
            "Route POST:/hook/canary-path?token=canary-query not found",
            "\n unknown token canary-header",
            "https://h.example/hook/canary-path?token=canary-query",
            r#"{"routing_key":"canary-key"}"#,
            &long,
        ] {
            let shown = shown(said, &hidden);
            assert!(!shown.contains("cana"), "{shown}");
        }
        assert_eq!(shown("no such hook\nmore", &hidden), "no such hook");
    }

    #[tokio::test]
    async fn a_handshake_that_hangs_is_no_connection_and_nothing_was_received() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Secret::new(format!("https://{}/", silent.local_addr().unwrap()));
        let options = HttpOptions::default()
            .with_timeouts(Duration::from_millis(100), Duration::from_mins(1));
        let client = HttpClient::new(&options).unwrap();
        let error = client.post(Post::new(&url, Vec::new())).await.unwrap_err();
        assert_eq!(error.text, "cannot connect: no connection within 100ms");
        assert_eq!((error.is_retryable, error.maybe_received), (true, false));
    }

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

    #[test]
    fn retry_after_is_seconds_or_a_date_on_the_peers_clock() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            retry_after(&headers)
        };
        assert_eq!(
            headers(&[("retry-after", "7")]),
            Some(Duration::from_secs(7))
        );
        let date = ("date", "Tue, 24 Nov 2026 05:00:00 GMT");
        let later = ("retry-after", "Tue, 24 Nov 2026 05:02:00 GMT");
        let earlier = ("retry-after", "Tue, 24 Nov 2026 04:00:00 GMT");
        assert_eq!(headers(&[date, later]), Some(Duration::from_mins(2)));
        assert_eq!(headers(&[date, earlier]), Some(Duration::ZERO));
        assert_eq!(headers(&[("retry-after", "soon")]), None);
        assert_eq!(headers(&[]), None);
    }
}
