//! OTLP over gRPC: a unary call is a request over HTTP/2 with a frame around its message, and a status behind it.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{Signal, refused};
use crate::traces::exporter::{
    ExportError,
    http::{AGENT, Answer},
};

/// Flag and length before a message.
const FRAME: usize = 5;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
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
                after: None,
            },
            _ => ExportError::Refused(status),
        });
    }
    let code = code(&answer.trailers).or_else(|| code(&answer.headers));
    match code.unwrap_or(UNKNOWN) {
        0 => Ok(answer.body.get(FRAME..).map_or(0, refused)),
        code @ (1 | 4 | 10 | 11 | 14 | 15) => Err(ExportError::Later {
            status: format!("gRPC status {code}"),
            after: pushback(answer),
        }),
        8 if pushback(answer).is_some() => Err(ExportError::Later {
            status: "gRPC status 8".to_owned(),
            after: pushback(answer),
        }),
        code => Err(ExportError::Refused(format!("gRPC status {code}"))),
    }
}

fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// When to try again, as `grpc-retry-pushback-ms` says it. (The same in `grpc-status-details-bin` is not read.)
fn pushback(answer: &Answer) -> Option<Duration> {
    let milliseconds = answer
        .trailers
        .get("grpc-retry-pushback-ms")
        .or_else(|| answer.headers.get("grpc-retry-pushback-ms"))?;
    milliseconds
        .to_str()
        .ok()?
        .parse()
        .ok()
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn answer(code: &'static str) -> Answer {
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from_static(code));
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            trailers,
            body: Vec::new().into(),
        }
    }

    #[test]
    fn a_code_says_whether_it_is_worth_another_attempt() {
        assert_eq!(interpret(&answer("0")), Ok(0));
        for code in ["1", "4", "10", "11", "14", "15"] {
            assert!(matches!(
                interpret(&answer(code)),
                Err(ExportError::Later { .. })
            ));
        }
        for code in ["2", "3", "5", "7", "8", "12", "13", "16"] {
            assert!(matches!(
                interpret(&answer(code)),
                Err(ExportError::Refused(_))
            ));
        }
        let mut exhausted = answer("8");
        exhausted
            .trailers
            .insert("grpc-retry-pushback-ms", HeaderValue::from_static("1500"));
        let after = Some(Duration::from_millis(1_500));
        assert!(
            matches!(interpret(&exhausted), Err(ExportError::Later { after: found, .. }) if found == after)
        );
    }
}
