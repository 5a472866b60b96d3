//! OTLP over HTTP: headers of the request, and what an answer means.

use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::refused;
use crate::traces::exporter::{
    ExportError,
    http::{AGENT, Answer, may_pass, retry_after},
};

pub(super) fn add_headers(headers: &mut HeaderMap, is_gzip: bool) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// OTLP/HTTP, "Failures": 429, 502, 503 and 504 may pass, and `Retry-After` says when.
pub(super) fn interpret(answer: &Answer) -> Result<usize, ExportError> {
    if answer.status.is_success() {
        return Ok(refused(&answer.body));
    }
    let status = answer.status.to_string();
    Err(if may_pass(answer.status) {
        ExportError::Later {
            status,
            after: retry_after(answer),
        }
    } else {
        ExportError::Refused(status)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use hyper::StatusCode;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        Answer {
            // 1994-11-06 08:49:37, RFC 9110's example.
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            trailers: HeaderMap::new(),
            body: Vec::new().into(),
        }
    }

    #[test]
    fn a_status_says_whether_it_is_worth_another_attempt() {
        assert_eq!(interpret(&answer(200, None)), Ok(0));
        for status in [429, 502, 503, 504] {
            let found = interpret(&answer(status, Some("7")));
            assert!(
                matches!(found, Err(ExportError::Later { after: Some(after), .. }) if after == Duration::from_secs(7)),
                "{found:?}"
            );
        }
        for status in [400, 401, 404, 408, 500, 501] {
            assert!(matches!(
                interpret(&answer(status, None)),
                Err(ExportError::Refused(_))
            ));
        }
    }

    /// RFC 9110, "HTTP-date": three forms of one moment.
    #[test]
    fn a_receiver_may_name_a_date() {
        let wait = |text| match interpret(&answer(503, Some(text))) {
            Err(ExportError::Later { after, .. }) => after,
            other => unreachable!("{other:?}"),
        };
        let minute = Some(Duration::from_mins(1));
        for date in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(wait(date), minute, "{date}");
        }
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:36 GMT"),
            Some(Duration::ZERO),
            "it has passed"
        );
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 CET"), None);
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

    #[test]
    fn what_a_receiver_refused_of_a_batch_it_took_is_counted() {
        // partial_success { rejected_spans: 3 }
        let taken = Answer {
            body: vec![0x0a, 0x02, 0x08, 0x03].into(),
            ..answer(200, None)
        };
        assert_eq!(interpret(&taken), Ok(3));
    }
}
