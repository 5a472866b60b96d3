//! One request over HTTP/1.1 or HTTP/2, with TLS where the address wants it.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, StatusCode, body::Bytes, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{ExportError, tls::Files};
use crate::traces::TracesError;

/// Time for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time between two pings on a connection over HTTP/2 that is in use.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Time without an answer to a ping after which such a connection is given up.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: it says no more than what was refused.
const MOST_ANSWER: usize = 64 * 1024;

/// How we call ourselves.
pub(super) const AGENT: &str = concat!("llm-observatory/", env!("CARGO_PKG_VERSION"));

/// What an answer says.
pub(super) struct Answer {
    /// When it came.
    pub(super) at: SystemTime,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) body: Bytes,
}

/// The version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Sends requests.
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client for `endpoint`.
    pub(super) fn new(
        endpoint: &hyper::Uri,
        version: Version,
        files: Files<'_>,
    ) -> Result<Self, TracesError> {
        let tls = files.config(endpoint)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let https = match version {
            Version::One => https.enable_http1().wrap_connector(tcp),
            Version::Two => https.enable_http2().wrap_connector(tcp),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // One connection carries every batch: one that went silent must not be used for ever.
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(SILENT_FOR)
            .http2_only(version == Version::Two)
            .build(https);
        Ok(Self(client))
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, ExportError> {
        let answer = self
            .0
            .request(request)
            .await
            .map_err(|error| ExportError::Unreachable(innermost(&error)))?;
        let (head, body) = answer.into_parts();
        let read = Limited::new(body, MOST_ANSWER).collect().await;
        let (trailers, body) = match read {
            Ok(read) => (
                read.trailers().cloned().unwrap_or_default(),
                read.to_bytes(),
            ),
            // The status is known: what is too long to be read is no reason to send the batch again.
            Err(error) if error.is::<LengthLimitError>() => (HeaderMap::new(), Bytes::new()),
            Err(error) => return Err(ExportError::Unreachable(innermost(&*error))),
        };
        Ok(Answer {
            at: SystemTime::now(),
            status: head.status,
            headers: head.headers,
            trailers,
            body,
        })
    }
}

/// Whether such an answer is worth another attempt: OTLP/HTTP, "Failures", and no worse for others.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// RFC 9110, `Retry-After`: seconds, or a date in one of three forms. One that has passed is no time at all.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(answer.at).unwrap_or_default())
}

/// The cause behind all others: `Connection refused`, where the outermost says `client error`.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
