//! Reads responses, and the `Retry-After` header of responses.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::{Bytes, Incoming},
    header::{DATE, HeaderValue, RETRY_AFTER},
};

use super::SendError;

/// Bytes of a response body that are read.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// A response to a request.
#[derive(Debug)]
pub(crate) struct Response {
    /// The local time at which the headers arrived.
    pub(crate) received_at: SystemTime,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The headers behind the body, in which gRPC puts its status.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(dead_code, reason = "only gRPC has trailers")
    )]
    pub(crate) trailers: HeaderMap,
    /// The body, up to the size limit.
    pub(crate) body: Bytes,
    #[cfg_attr(
        not(feature = "otlp"),
        expect(
            dead_code,
            reason = "a channel needs the status and the first line only"
        )
    )]
    pub(crate) body_end: BodyEnd,
}

/// The way in which a body ended.
#[derive(Debug)]
pub(crate) enum BodyEnd {
    Complete,
    /// The body is longer than the size limit.
    Truncated,
    #[cfg_attr(
        not(feature = "otlp"),
        expect(
            dead_code,
            reason = "a channel needs the status and the first line only"
        )
    )]
    Broken(SendError),
}

impl Response {
    pub(super) async fn read(response: hyper::Response<Incoming>, received_at: SystemTime) -> Self {
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        let body_end = loop {
            match incoming.frame().await {
                None => break BodyEnd::Complete,
                Some(Err(error)) => break BodyEnd::Broken(SendError::Body(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let room = MAX_RESPONSE_BYTES - body.len();
                        body.extend_from_slice(&data[..data.len().min(room)]);
                        if data.len() > room {
                            break BodyEnd::Truncated;
                        }
                    }
                    Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
                },
            }
        };
        Self {
            received_at,
            status: head.status,
            headers: head.headers,
            trailers,
            body: body.into(),
            body_end,
        }
    }

    /// The response for a caller that decodes the body: a broken body is an error, and a truncated body counts as
    /// empty. The status of a truncated response is known, so its length is no reason to send the request again.
    #[cfg(feature = "otlp")]
    pub(crate) fn complete(mut self) -> Result<Self, SendError> {
        match std::mem::replace(&mut self.body_end, BodyEnd::Complete) {
            BodyEnd::Complete => {}
            BodyEnd::Truncated => self.body = Bytes::new(),
            BodyEnd::Broken(error) => return Err(error),
        }
        Ok(self)
    }

    /// The time that the receiver asks to wait. RFC 9110, `Retry-After`: seconds, or a date in one of three forms.
    ///
    /// A date counts from the receiver's own `Date`, or from the local clock if the response has no `Date`. A date in
    /// the past is no wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = text(self.headers.get(RETRY_AFTER)?)?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let date = self.headers.get(DATE).and_then(text_date);
        let now = date.unwrap_or(self.received_at);
        Some(until.duration_since(now).unwrap_or_default())
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

fn text_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(text(value)?).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A response without headers, received at RFC 9110's example: 1994-11-06 08:49:37.
    pub(crate) fn response(status: u16) -> Response {
        Response {
            received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            trailers: HeaderMap::new(),
            body: Bytes::new(),
            body_end: BodyEnd::Complete,
        }
    }

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut response = response(503);
        for (name, value) in pairs {
            response.headers.insert(*name, value.parse().unwrap());
        }
        response.retry_after()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_on_the_receivers_clock() {
        let seconds = wait(&[("retry-after", "7")]);
        assert_eq!(seconds, Some(Duration::from_secs(7)));
        let date = ("date", "Tue, 24 Nov 2026 05:00:00 GMT");
        let later = ("retry-after", "Tue, 24 Nov 2026 05:02:00 GMT");
        let earlier = ("retry-after", "Tue, 24 Nov 2026 04:00:00 GMT");
        assert_eq!(wait(&[date, later]), Some(Duration::from_mins(2)));
        assert_eq!(wait(&[date, earlier]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    /// RFC 9110, "HTTP-date": three forms of one moment.
    #[test]
    fn a_date_without_the_receivers_clock_counts_from_the_local_clock() {
        for date in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(
                wait(&[("retry-after", date)]),
                Some(Duration::from_mins(1)),
                "{date}"
            );
        }
    }
}
