//! Implements OTLP over gRPC: a unary call is one HTTP/2 request with a framed message, and a status in the trailers.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    details::{Recovery, recovery},
    transport::rejected,
};
use crate::{
    net::Response,
    traces::{
        Signal,
        exporter::{ExportError, endpoint_client::check_status},
    },
};

/// Bytes of the flag and the length before a message.
const FRAME_BYTES: usize = 5;
/// gRPC over HTTP/2: a timeout has at most eight digits.
const MAX_TIMEOUT_MS: u128 = 99_999_999;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The status `UNKNOWN`, of a call without a readable status.
const UNKNOWN: u32 = 2;

/// The path of the export method of a signal.
pub(super) const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// The message with its flag and length.
pub(super) fn frame(message: &[u8], is_compressed: bool) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(FRAME_BYTES + message.len());
    framed.push(u8::from(is_compressed));
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed
}

pub(super) fn add_headers(headers: &mut HeaderMap, is_gzip: bool, timeout: Duration) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    // No header for a timeout of 0, which is no limit.
    let milliseconds = timeout.as_millis().min(MAX_TIMEOUT_MS);
    if !timeout.is_zero()
        && let Ok(value) = HeaderValue::try_from(format!("{milliseconds}m"))
    {
        headers.insert(HeaderName::from_static("grpc-timeout"), value);
    }
    if is_gzip {
        headers.insert(
            HeaderName::from_static("grpc-encoding"),
            HeaderValue::from_static("gzip"),
        );
    }
}

/// Returns the number of rejected items of a successful call.
///
/// OTLP/gRPC, "Failures": the retryable codes are in the table; `RESOURCE_EXHAUSTED` is retryable only if the receiver
/// names a time.
pub(super) fn interpret(response: &Response) -> Result<usize, ExportError> {
    // A status other than 200 comes from a proxy, or from a server that does not speak gRPC. gRPC maps the retryable
    // statuses of HTTP to UNAVAILABLE.
    check_status(response)?;
    let code = read(response, code).unwrap_or(UNKNOWN);
    let status = format!("gRPC status {code}");
    // OTLP asks for the status details; the pushback header is gRPC's own.
    let recovery = read(response, recovery).or_else(|| read(response, pushback));
    let after = recovery.and_then(|Recovery(after)| after);
    // gRPC's proposal A6: a "negative or unparseable" pushback forbids another attempt.
    let is_final = recovery.is_none() && read(response, |h| h.get(PUSHBACK).cloned()).is_some();
    match code {
        0 => Ok(response.body.get(FRAME_BYTES..).map_or(0, rejected)),
        1 | 4 | 10 | 11 | 14 | 15 if !is_final => Err(ExportError::Retryable { status, after }),
        8 if recovery.is_some() => Err(ExportError::Retryable { status, after }),
        _ => Err(ExportError::Rejected(status)),
    }
}

/// Reads a value from the trailers, or from the headers of a response without trailers.
fn read<T>(response: &Response, parse: fn(&HeaderMap) -> Option<T>) -> Option<T> {
    parse(&response.trailers).or_else(|| parse(&response.headers))
}

fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// The time of `grpc-retry-pushback-ms`.
fn pushback(headers: &HeaderMap) -> Option<Recovery> {
    let milliseconds = headers.get(PUSHBACK)?;
    let milliseconds = milliseconds.to_str().ok()?.parse().ok()?;
    Some(Recovery(Some(Duration::from_millis(milliseconds))))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::{
        super::details::tests::{details as retry_info, without_delay},
        *,
    };
    use crate::net::tests::response;

    fn answer(code: &'static str) -> Response {
        let mut response = response(200);
        let code = HeaderValue::from_static(code);
        response.trailers.insert(STATUS, code);
        response
    }

    /// OTLP/gRPC, "Failures", its table.
    #[test]
    fn a_code_is_retryable_or_final() {
        assert_eq!(interpret(&answer("0")), Ok(0));
        for code in ["1", "4", "10", "11", "14", "15"] {
            assert_eq!(later(&answer(code)), Some(Recovery(None)), "{code}");
        }
        for code in [
            "2", "3", "5", "6", "7", "8", "9", "12", "13", "16", "99", "x",
        ] {
            assert!(matches!(
                interpret(&answer(code)),
                Err(ExportError::Rejected(_))
            ));
        }
    }

    #[test]
    fn an_exhausted_receiver_is_retried_only_if_it_names_a_time() {
        let with = |code, name, value: HeaderValue| {
            let mut answer = answer(code);
            answer.trailers.insert(name, value);
            later(&answer)
        };
        let details = "grpc-status-details-bin";
        let pushback = "grpc-retry-pushback-ms";
        let after = Some(Recovery(Some(Duration::from_millis(1_500))));
        for code in ["8", "14", "1"] {
            let delay = retry_info(1, 500_000_000);
            assert_eq!(with(code, details, delay), after, "{code}");
            let delay = HeaderValue::from_static("1500");
            assert_eq!(with(code, pushback, delay), after, "{code}");
        }
        let soon = Some(Recovery(None));
        assert_eq!(with("8", details, without_delay()), soon);
        assert_eq!(with("8", details, HeaderValue::from_static("CAg=")), None);
        for never in ["-1", "x"] {
            let never = HeaderValue::from_static(never);
            assert_eq!(with("14", pushback, never), None);
        }
        // A delay does not make a rejected call retryable.
        assert_eq!(with("3", details, retry_info(1, 0)), None);
    }

    #[test]
    fn a_response_without_trailers_has_its_status_in_the_headers() {
        let mut answer = answer("8");
        answer
            .trailers
            .insert("grpc-status-details-bin", retry_info(2, 0));
        std::mem::swap(&mut answer.headers, &mut answer.trailers);
        let after = Some(Recovery(Some(Duration::from_secs(2))));
        assert_eq!(later(&answer), after);
    }

    #[test]
    fn a_proxy_may_name_the_time_in_retry_after() {
        let mut answer = answer("0");
        answer.status = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(later(&answer), Some(Recovery(None)));
        let value = HeaderValue::from_static("3");
        answer.headers.insert(header::RETRY_AFTER, value);
        let after = Some(Recovery(Some(Duration::from_secs(3))));
        assert_eq!(later(&answer), after);
        answer.status = StatusCode::NOT_FOUND;
        assert_eq!(later(&answer), None);
    }

    /// The time before another attempt, if the call is retryable.
    fn later(answer: &Response) -> Option<Recovery> {
        match interpret(answer) {
            Err(ExportError::Retryable { after, .. }) => Some(Recovery(after)),
            _ => None,
        }
    }
}
