//! OTLP over gRPC: a unary call is a request over HTTP/2 with a frame around its message, and a status behind it.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    Signal,
    details::{Recovery, recovery},
    refused,
};
use crate::traces::exporter::{
    ExportError,
    http::{AGENT, Answer, retry_after},
};

/// Flag and length before a message.
const FRAME: usize = 5;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// What a call without a status means.
const UNKNOWN: u32 = 2;

/// Where the method of a signal is at an endpoint.
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
    let mut framed = Vec::with_capacity(FRAME + message.len());
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
    headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
    // At most eight digits; a time without an end is not said.
    let milliseconds = timeout.as_millis().min(99_999_999);
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

/// OTLP/gRPC, "Failures": these codes may pass; `RESOURCE_EXHAUSTED` only where the receiver says when.
pub(super) fn interpret(answer: &Answer) -> Result<usize, ExportError> {
    if !answer.status.is_success() {
        // Not a gRPC server, or one behind a proxy; gRPC maps these four to UNAVAILABLE.
        let status = answer.status.to_string();
        return Err(match answer.status.as_u16() {
            429 | 502 | 503 | 504 => ExportError::Later {
                status,
                after: retry_after(answer),
            },
            _ => ExportError::Refused(status),
        });
    }
    let code = said(answer, code).unwrap_or(UNKNOWN);
    let status = format!("gRPC status {code}");
    // Both say when; the first is what OTLP asks for, the second is gRPC's own.
    let recovery = said(answer, recovery).or_else(|| said(answer, pushback));
    let after = recovery.and_then(|Recovery(after)| after);
    // gRPC's A6: "negative or unparseable" asks not to try again at all.
    let is_final = recovery.is_none() && said(answer, |h| h.get(PUSHBACK).cloned()).is_some();
    match code {
        0 => Ok(answer.body.get(FRAME..).map_or(0, refused)),
        1 | 4 | 10 | 11 | 14 | 15 if !is_final => Err(ExportError::Later { status, after }),
        8 if recovery.is_some() => Err(ExportError::Later { status, after }),
        _ => Err(ExportError::Refused(status)),
    }
}

/// What stands behind an answer; before it where there is nothing else of it.
fn said<T>(answer: &Answer, read: fn(&HeaderMap) -> Option<T>) -> Option<T> {
    read(&answer.trailers).or_else(|| read(&answer.headers))
}

fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// When to try again, as `grpc-retry-pushback-ms` says it.
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

    fn answer(code: &'static str) -> Answer {
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from_static(code));
        Answer {
            at: std::time::SystemTime::UNIX_EPOCH,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            trailers,
            body: Vec::new().into(),
        }
    }

    /// OTLP/gRPC, "Failures", its table.
    #[test]
    fn a_code_says_whether_it_is_worth_another_attempt() {
        assert_eq!(interpret(&answer("0")), Ok(0));
        for code in ["1", "4", "10", "11", "14", "15"] {
            assert_eq!(later(&answer(code)), Some(Recovery(None)), "{code}");
        }
        for code in [
            "2", "3", "5", "6", "7", "8", "9", "12", "13", "16", "99", "x",
        ] {
            assert!(matches!(
                interpret(&answer(code)),
                Err(ExportError::Refused(_))
            ));
        }
    }

    #[test]
    fn a_receiver_that_has_no_room_is_asked_again_only_if_it_says_that_it_will_have_some() {
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
        // What the server says of a call that is wrong makes it no better.
        assert_eq!(with("3", details, retry_info(1, 0)), None);
    }

    #[test]
    fn an_answer_without_a_message_has_its_status_before_it() {
        let mut answer = answer("8");
        answer
            .trailers
            .insert("grpc-status-details-bin", retry_info(2, 0));
        std::mem::swap(&mut answer.headers, &mut answer.trailers);
        let after = Some(Recovery(Some(Duration::from_secs(2))));
        assert_eq!(later(&answer), after);
    }

    #[test]
    fn a_proxy_may_say_when_in_its_own_way() {
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

    /// After which time, if it may be asked again.
    fn later(answer: &Answer) -> Option<Recovery> {
        match interpret(answer) {
            Err(ExportError::Later { after, .. }) => Some(Recovery(after)),
            _ => None,
        }
    }
}
