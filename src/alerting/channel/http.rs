//! Makes one delivery attempt over HTTP and classifies the response.

use std::time::Duration;

use hyper::{
    StatusCode, Uri,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{FailureClass, NotifyError, Receipt};
use crate::{
    net::{OutgoingClient, Response, SendError},
    privacy::Secret,
};

/// Characters of the first line of a response that an error or a receipt contains.
const MAX_LINE_CHARS: usize = 200;
/// Characters from which on a part of a URL or a header counts as a secret. Shorter parts are words.
const MIN_SECRET_CHARS: usize = 8;

/// A JSON body for a URL.
pub(super) struct Post<'a> {
    url: &'a Secret,
    headers: HeaderMap,
    body: Bytes,
    /// A secret inside the body, which a receiver may repeat in its response.
    secret: Option<&'a Secret>,
}

/// The response of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// The first line with text, without secrets.
    pub(super) first_line: String,
}

/// Prepares the client for a URL, see [`OutgoingClient::prepare`].
pub(super) fn prepare(client: &OutgoingClient, url: &Secret) {
    // A URL that does not parse fails at the first request.
    if let Ok(uri) = url.expose().parse() {
        client.prepare(&uri);
    }
}

impl<'a> Post<'a> {
    /// A request with a JSON body.
    pub(super) fn new(url: &'a Secret, body: Vec<u8>) -> Self {
        Self {
            url,
            headers: HeaderMap::new(),
            body: body.into(),
            secret: None,
        }
    }

    /// Adds headers.
    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Masks a secret of the body in the response.
    pub(super) fn hiding(mut self, secret: &'a Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sends the request and classifies the status: 2xx is success; 429, 5xx and a failed connection are retryable;
    /// any other status is final.
    pub(super) async fn deliver(self, client: &OutgoingClient) -> Result<Receipt, NotifyError> {
        self.send(client).await?.classify()
    }

    /// Sends the request and returns the response, whatever its status.
    pub(super) async fn send(self, client: &OutgoingClient) -> Result<Answer, NotifyError> {
        let uri: Uri = self
            .url
            .expose()
            .parse()
            .map_err(|_| NotifyError::new(FailureClass::Other, "the URL cannot be read"))?;
        let secrets = self.secrets(&uri);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers);
        let response = client.post(&uri, &headers, self.body).await?;
        Ok(Answer::new(&response, &secrets))
    }

    /// The texts that a receiver must not be shown to repeat, the longest first: one may contain another.
    fn secrets(&self, uri: &Uri) -> Vec<String> {
        let mut secrets = secret_parts(uri, &self.headers);
        let whole = [Some(self.url), self.secret].into_iter().flatten();
        secrets.extend(whole.map(|secret| secret.expose().to_owned()));
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl From<SendError> for NotifyError {
    fn from(error: SendError) -> Self {
        let class = match error {
            SendError::Timeout(_) | SendError::ConnectTimeout(_) => FailureClass::DeadlineExceeded,
            SendError::Exchange(_) | SendError::Body(_) | SendError::Request(_) => {
                FailureClass::Other
            }
        };
        let failure = Self::new(class, error.to_string());
        match error {
            SendError::Request(_) => failure,
            error if error.maybe_received() => failure.retryable().maybe_received(),
            _ => failure.retryable(),
        }
    }
}

impl Answer {
    fn new(response: &Response, secrets: &[String]) -> Self {
        Self {
            status: response.status,
            retry_after: response.retry_after(),
            first_line: first_line(&String::from_utf8_lossy(&response.body), secrets),
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

    /// The result of the attempt, by the status.
    pub(super) fn classify(&self) -> Result<Receipt, NotifyError> {
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

/// Parts of the path, the query and the headers that may be secrets.
fn secret_parts(uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let parts = path.split(['/', '?', '&', '=']);
    let values = headers.values().filter_map(|value| value.to_str().ok());
    // Of `Bearer …`, a receiver may repeat the token alone.
    let values = values.flat_map(|value| value.split(' '));
    parts
        .chain(values)
        .filter(|part| part.len() >= MIN_SECRET_CHARS)
        .map(str::to_owned)
        .collect()
}

/// The first line with text, with masked secrets. The line is cut after the masking: half a secret is a secret, too.
fn first_line(text: &str, secrets: &[String]) -> String {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let mask = |line: String, secret: &String| line.replace(secret, "***");
    let line = secrets.iter().fold(line.trim().to_owned(), mask);
    let printable = line.chars().filter(|c| !c.is_control());
    printable.take(MAX_LINE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientOptions;

    #[test]
    fn a_status_has_a_class_and_is_retryable_or_final() {
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
    fn a_secret_that_a_receiver_repeats_is_masked() {
        let uri: Uri = "https://h.example/hook/canary-path?token=canary-query"
            .parse()
            .unwrap();
        let bearer = HeaderValue::from_static("Bearer canary-header");
        let headers = HeaderMap::from_iter([(hyper::header::AUTHORIZATION, bearer)]);
        let url = Secret::new(uri.to_string());
        let key = Secret::new("canary-key");
        let post = Post::new(&url, Vec::new()).with_headers(headers);
        let secrets = post.hiding(&key).secrets(&uri);
        let long = format!("{}canary-path", "x".repeat(MAX_LINE_CHARS - 4));
        for text in [
            "Route POST:/hook/canary-path?token=canary-query not found",
            "\n unknown token canary-header",
            "https://h.example/hook/canary-path?token=canary-query",
            r#"{"routing_key":"canary-key"}"#,
            &long,
        ] {
            let line = first_line(text, &secrets);
            assert!(!line.contains("cana"), "{line}");
        }
        assert_eq!(first_line("no such hook\nmore", &secrets), "no such hook");
    }

    #[tokio::test]
    async fn a_handshake_that_hangs_is_no_connection_and_nothing_was_received() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Secret::new(format!("https://{}/", silent.local_addr().unwrap()));
        let options = ClientOptions::default()
            .with_timeouts(Duration::from_millis(100), Duration::from_mins(1));
        let client = OutgoingClient::new(&options).unwrap();
        let error = Post::new(&url, Vec::new())
            .deliver(&client)
            .await
            .unwrap_err();
        assert_eq!(error.text, "cannot connect: no connection within 100ms");
        assert_eq!((error.is_retryable, error.maybe_received), (true, false));
    }
}
