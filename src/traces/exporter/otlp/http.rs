//! Implements OTLP over HTTP: the headers of a request and the result of a response.

use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::transport::rejected;
use crate::{
    net::Response,
    traces::exporter::{ExportError, endpoint_client::check_status},
};

pub(super) fn add_headers(headers: &mut HeaderMap, is_gzip: bool) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Returns the number of rejected items of a successful response.
pub(super) fn interpret(response: &Response) -> Result<usize, ExportError> {
    check_status(response)?;
    Ok(rejected(&response.body))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::tests::response;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Response {
        let mut response = response(status);
        if let Some(value) = retry_after {
            let value = HeaderValue::from_static(value);
            response.headers.insert(header::RETRY_AFTER, value);
        }
        response
    }

    #[test]
    fn a_status_says_whether_it_is_worth_another_attempt() {
        assert_eq!(interpret(&answer(200, None)), Ok(0));
        for status in [429, 502, 503, 504] {
            let found = interpret(&answer(status, Some("7")));
            assert!(
                matches!(found, Err(ExportError::Retryable { after: Some(after), .. }) if after == Duration::from_secs(7)),
                "{found:?}"
            );
        }
        for status in [400, 401, 404, 408, 500, 501] {
            assert!(matches!(
                interpret(&answer(status, None)),
                Err(ExportError::Rejected(_))
            ));
        }
    }

    /// RFC 9110, "HTTP-date": three forms of one moment.
    #[test]
    fn a_receiver_may_name_a_date() {
        let wait = |text| match interpret(&answer(503, Some(text))) {
            Err(ExportError::Retryable { after, .. }) => after,
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
    fn items_that_a_receiver_rejected_are_counted() {
        // partial_success { rejected_spans: 3 }
        let mut accepted = answer(200, None);
        accepted.body = vec![0x0a, 0x02, 0x08, 0x03].into();
        assert_eq!(interpret(&accepted), Ok(3));
    }
}
