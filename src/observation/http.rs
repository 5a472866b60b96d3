//! HTTP requests: those that were served, and those that were sent.

use std::time::Duration;

use super::{Outcome, Rpc, TraceReference};

/// One HTTP request was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// Method; one that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// Route, never the raw path; `unmatched` where there is none.
    pub route: &'a str,
    /// Status code; `None` where the request ended without one.
    pub status_code: Option<u16>,
    /// To the end of the response body.
    pub duration: Duration,
    /// Bytes of the request body.
    pub request_size: Option<u64>,
    /// Bytes of the response body.
    pub response_size: Option<u64>,
    /// How it ended, beside its status code.
    pub outcome: Outcome,
    /// The class of the error, where it failed; the status code where empty.
    pub error_type: &'a str,
    /// The part of the service that a failure is counted for; `http_request` where empty.
    pub component: &'a str,
    /// `https`; `http` where empty.
    pub scheme: &'a str,
    /// The remote procedure that it called, where it is gRPC. Its status stands in for a missing status code.
    pub rpc: Option<Rpc<'a>>,
    /// The trace it belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

/// One HTTP request was sent to another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpClientRequest<'a> {
    /// Whom it was sent to: a name that the configuration gives the server, never a URL.
    pub peer: &'a str,
    /// Method; one that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// Status code; `None` where no answer came.
    pub status_code: Option<u16>,
    /// To the end of the response body.
    pub duration: Duration,
    /// Bytes of the request body.
    pub request_size: Option<u64>,
    /// Bytes of the response body.
    pub response_size: Option<u64>,
    /// How it ended, beside its status code.
    pub outcome: Outcome,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
    /// The remote procedure that it called, where it is gRPC.
    pub rpc: Option<Rpc<'a>>,
    /// The trace it belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

/// `_OTHER` for what HTTP does not define, as the semantic conventions say.
pub(crate) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY",
    ];
    KNOWN
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(method))
        .unwrap_or("_OTHER")
}
