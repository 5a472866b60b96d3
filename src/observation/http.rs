//! Served and sent HTTP requests.

use std::time::Duration;

use super::{Outcome, Rpc, TraceReference};

/// A served HTTP request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// Method; a method that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// Route, never the raw path; `unmatched` for a request without a route.
    pub route: &'a str,
    /// Status code; `None` for a request that ended without a response.
    pub status_code: Option<u16>,
    /// Time to the end of the response body.
    pub duration: Duration,
    /// Bytes of the request body.
    pub request_size: Option<u64>,
    /// Bytes of the response body.
    pub response_size: Option<u64>,
    /// Outcome, beside the status code.
    pub outcome: Outcome,
    /// Error class of a failed request; the status code if empty.
    pub error_type: &'a str,
    /// Component that a failure counts for; `http_request` if empty.
    pub component: &'a str,
    /// `https`; `http` if empty.
    pub scheme: &'a str,
    /// The remote procedure of a gRPC call. Its status replaces a missing status code.
    pub rpc: Option<Rpc<'a>>,
    /// The trace that the request belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

/// An HTTP request to a remote server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpClientRequest<'a> {
    /// Configured name of the called server, never a URL.
    pub peer: &'a str,
    /// Method; a method that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// Status code; `None` for a request without a response.
    pub status_code: Option<u16>,
    /// Time to the end of the response body.
    pub duration: Duration,
    /// Bytes of the request body.
    pub request_size: Option<u64>,
    /// Bytes of the response body.
    pub response_size: Option<u64>,
    /// Outcome, beside the status code.
    pub outcome: Outcome,
    /// Error class of a failed request.
    pub error_type: &'a str,
    /// The remote procedure of a gRPC call.
    pub rpc: Option<Rpc<'a>>,
    /// The trace that the request belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

/// Returns the method, or `_OTHER` for a method that HTTP does not define, as in the semantic conventions.
pub(crate) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY",
    ];
    KNOWN
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(method))
        .unwrap_or("_OTHER")
}
