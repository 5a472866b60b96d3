//! Series of served and sent HTTP requests and of gRPC calls.
//!
//! Each request feeds the prefixed metrics and the metrics of the semantic conventions (HTTP stable, RPC release
//! candidate). A gRPC call counts in `rpc.server.call.duration`, any other request in `http.server.request.duration`.

use std::sync::OnceLock;

use super::{
    backend::{Backend, Count, Distribution},
    operations::OperationSeries,
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{
        HttpClientRequest, HttpRequest, InFlight, Label, Labels, Outcome, Rpc, RpcStatus,
        known_method,
    },
};

/// The series of served HTTP requests with the same method, route and status code.
pub(super) struct HttpSeries<B: Backend> {
    requests: B::Counter,
    duration: B::Histogram,
    /// The conventions' duration of requests without a failure; failed requests have series by error type.
    pub(super) conventions: B::Histogram,
    request_size: OnceLock<B::Histogram>,
    response_size: OnceLock<B::Histogram>,
    messages: Messages<B>,
}

impl<B: Backend> OperationSeries<B> for HttpSeries<B> {
    const METRICS: &'static [Metric] = &[
        catalog::HTTP_REQUESTS,
        catalog::HTTP_DURATION,
        catalog::HTTP_SERVER_DURATION,
    ];

    fn new(backend: &B, labels: &Labels) -> Self {
        Self {
            requests: backend.counter(&catalog::HTTP_REQUESTS, &seed_labels(labels)),
            duration: backend.histogram(&catalog::HTTP_DURATION, &seed_labels(labels)),
            conventions: server_duration(backend, labels),
            request_size: OnceLock::new(),
            response_size: OnceLock::new(),
            messages: Messages::default(),
        }
    }
}

impl<B: Backend> HttpSeries<B> {
    pub(super) fn record(&self, backend: &B, labels: &Labels, request: &HttpRequest<'_>) {
        self.requests.add(1);
        let seconds = request.duration.as_secs_f64();
        self.duration.record(seconds);
        if let Some(trace) = &request.trace {
            self.requests.exemplify(trace);
            self.duration.exemplify(seconds, trace);
        }
        if let Some(bytes) = request.request_size {
            let find = || backend.histogram(&catalog::HTTP_REQUEST_SIZE, &seed_labels(labels));
            self.request_size.get_or_init(find).record(bytes as f64);
        }
        if let Some(bytes) = request.response_size {
            let find = || backend.histogram(&catalog::HTTP_RESPONSE_SIZE, &seed_labels(labels));
            self.response_size.get_or_init(find).record(bytes as f64);
        }
        if let Some(rpc) = &request.rpc {
            self.messages.record(backend, rpc, "server");
        }
    }
}

/// The series of HTTP requests to a server with the same method and status code.
pub(super) struct HttpClientSeries<B: Backend> {
    /// Duration of requests without a failure.
    pub(super) duration: B::Histogram,
    request_size: OnceLock<B::Histogram>,
    response_size: OnceLock<B::Histogram>,
    messages: Messages<B>,
}

impl<B: Backend> OperationSeries<B> for HttpClientSeries<B> {
    const METRICS: &'static [Metric] = &[catalog::HTTP_CLIENT_DURATION];

    fn new(backend: &B, labels: &Labels) -> Self {
        Self {
            duration: client_duration(backend, labels),
            request_size: OnceLock::new(),
            response_size: OnceLock::new(),
            messages: Messages::default(),
        }
    }
}

impl<B: Backend> HttpClientSeries<B> {
    pub(super) fn record(&self, backend: &B, labels: &Labels, request: &HttpClientRequest<'_>) {
        if let Some(rpc) = &request.rpc {
            return self.messages.record(backend, rpc, "client");
        }
        let sizes = [
            (
                request.request_size,
                &self.request_size,
                &catalog::HTTP_CLIENT_REQUEST_SIZE,
            ),
            (
                request.response_size,
                &self.response_size,
                &catalog::HTTP_CLIENT_RESPONSE_SIZE,
            ),
        ];
        for (bytes, series, metric) in sizes {
            if let Some(bytes) = bytes {
                let find = || backend.histogram(metric, &conventions_labels(labels));
                series.get_or_init(find).record(bytes as f64);
            }
        }
    }
}

/// Message counters of a remote procedure; created with the first message.
struct Messages<B: Backend>([OnceLock<B::Counter>; 2]);

impl<B: Backend> Default for Messages<B> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; 2])
    }
}

impl<B: Backend> Messages<B> {
    fn record(&self, backend: &B, rpc: &Rpc<'_>, side: &'static str) {
        let counts = [("received", rpc.received), ("sent", rpc.sent)];
        for (series, (direction, count)) in self.0.iter().zip(counts) {
            let Some(count) = count else { continue };
            let labels = [
                ("direction", direction),
                ("rpc_method", rpc.method),
                ("side", side),
            ];
            series
                .get_or_init(|| backend.counter(&catalog::GRPC_MESSAGES, &labels))
                .add(count);
        }
    }
}

/// The gauge of HTTP requests in flight.
pub(super) struct InFlightSeries<B: Backend> {
    pub(super) level: B::Gauge,
}

impl<B: Backend> OperationSeries<B> for InFlightSeries<B> {
    const METRICS: &'static [Metric] = &[catalog::HTTP_SERVER_ACTIVE];

    fn new(backend: &B, labels: &Labels) -> Self {
        let method = ("http_request_method", labels.value(Label::Method));
        let level = match labels.get(Label::UrlScheme) {
            Some(scheme) => backend.gauge(
                &catalog::HTTP_SERVER_ACTIVE,
                &[method, ("url_scheme", scheme)],
            ),
            None => backend.gauge(
                &catalog::HTTP_CLIENT_ACTIVE,
                &[method, ("server_address", labels.value(Label::Peer))],
            ),
        };
        Self { level }
    }
}

/// Returns the labels of a request in flight: the scheme of a served request, the server of a sent request.
pub(super) fn in_flight_labels(request: InFlight<'_>) -> Labels {
    let mut labels = Labels::new();
    labels.set(Label::Method, known_method(request.method));
    match request.peer {
        None => labels.set(Label::UrlScheme, scheme(request.scheme)),
        Some(peer) => labels.set(Label::Peer, peer),
    }
    labels
}

/// Returns the conventions' histogram of served requests with these labels.
pub(super) fn server_duration<B: Backend>(backend: &B, labels: &Labels) -> B::Histogram {
    let metric = match labels.get(Label::RpcMethod) {
        Some(_) => &catalog::RPC_SERVER_DURATION,
        None => &catalog::HTTP_SERVER_DURATION,
    };
    backend.histogram(metric, &conventions_labels(labels))
}

/// Returns the conventions' histogram of sent requests with these labels.
pub(super) fn client_duration<B: Backend>(backend: &B, labels: &Labels) -> B::Histogram {
    let metric = match labels.get(Label::RpcMethod) {
        Some(_) => &catalog::RPC_CLIENT_DURATION,
        None => &catalog::HTTP_CLIENT_DURATION,
    };
    backend.histogram(metric, &conventions_labels(labels))
}

/// Returns the labels of a served request. Method and status code take only values that HTTP defines, because both
/// labels are bounded.
pub(super) fn http_labels(request: &HttpRequest<'_>) -> Labels {
    let mut labels = Labels::new();
    labels.set(Label::Method, known_method(request.method));
    match (request.route, &request.rpc) {
        ("", Some(rpc)) if rpc.method != UNKNOWN_METHOD => {
            labels.set_fmt(Label::Route, format_args!("/{}", rpc.method));
        }
        ("", _) => labels.set(Label::Route, "unmatched"),
        (route, _) => labels.set(Label::Route, route),
    }
    let status = request.rpc.map(|rpc| rpc_status(&rpc, request.outcome));
    let code = status
        .map(RpcStatus::http_status)
        .or(request.status_code.filter(|code| (100..600).contains(code)));
    match (code, request.outcome) {
        (Some(code), _) => labels.set(Label::StatusCode, itoa::Buffer::new().format(code)),
        // nginx's status code for a client that closed the connection.
        (None, Outcome::Cancelled) => labels.set(Label::StatusCode, "499"),
        (None, Outcome::Timeout) => labels.set(Label::StatusCode, "504"),
        (None, Outcome::Error) => labels.set(Label::StatusCode, "500"),
        (None, Outcome::Success | Outcome::Other) => labels.set(Label::StatusCode, "unknown"),
    }
    labels.set(Label::UrlScheme, scheme(request.scheme));
    set_rpc(&mut labels, request.rpc.as_ref(), status);
    labels
}

/// Returns the error type of a failed served request; `None` for a request without a failure.
pub(super) fn failure<'a>(request: &HttpRequest<'a>, labels: &'a Labels) -> Option<&'a str> {
    let code = labels.value(Label::StatusCode);
    if !code.starts_with('5') && !request.outcome.is_failure() {
        return None;
    }
    Some(match (request.error_type, labels.get(Label::RpcStatus)) {
        ("", None) if code.starts_with(['4', '5']) => code,
        ("", Some(status)) if status != "OK" => status,
        ("", _) if request.outcome == Outcome::Timeout => "timeout",
        ("", _) => "_OTHER",
        (named, _) => named,
    })
}

/// Returns the labels of a sent request.
pub(super) fn http_client_labels(request: &HttpClientRequest<'_>) -> Labels {
    let mut labels = Labels::new();
    labels.set(Label::Method, known_method(request.method));
    // gRPC responses always have the HTTP status 200; a request without a response has no code.
    let code = request.status_code.filter(|_| request.rpc.is_none());
    if let Some(code) = code.filter(|code| (100..600).contains(code)) {
        labels.set(Label::StatusCode, itoa::Buffer::new().format(code));
    }
    labels.set(Label::Peer, request.peer);
    let status = request.rpc.map(|rpc| rpc_status(&rpc, request.outcome));
    set_rpc(&mut labels, request.rpc.as_ref(), status);
    labels
}

/// Returns the error type of a failed sent request; `None` for a request without a failure. A 4xx response is a failure
/// of the client's request.
pub(super) fn client_failure<'a>(
    request: &HttpClientRequest<'a>,
    labels: &'a Labels,
) -> Option<&'a str> {
    let refused = labels
        .get(Label::StatusCode)
        .filter(|code| code.starts_with(['4', '5']))
        .or(labels
            .get(Label::RpcStatus)
            .filter(|status| *status != "OK"));
    if refused.is_none() && !request.outcome.is_failure() {
        return None;
    }
    Some(match request.error_type {
        "" if request.outcome == Outcome::Timeout => refused.unwrap_or("timeout"),
        "" => refused.unwrap_or("_OTHER"),
        named => named,
    })
}

/// The conventions' value for a method that the server does not know.
const UNKNOWN_METHOD: &str = "_OTHER";

/// Returns the server's status, or the status that matches the outcome if the server sent no status.
fn rpc_status(rpc: &Rpc<'_>, outcome: Outcome) -> RpcStatus {
    rpc.status.unwrap_or(match outcome {
        Outcome::Success | Outcome::Other => RpcStatus::Ok,
        Outcome::Error => RpcStatus::Unknown,
        Outcome::Timeout => RpcStatus::DeadlineExceeded,
        Outcome::Cancelled => RpcStatus::Cancelled,
    })
}

fn set_rpc(labels: &mut Labels, rpc: Option<&Rpc<'_>>, status: Option<RpcStatus>) {
    if let (Some(rpc), Some(status)) = (rpc, status) {
        labels.set(Label::RpcMethod, rpc.method);
        labels.set(Label::RpcStatus, status.as_str());
    }
}

const fn scheme(scheme: &str) -> &'static str {
    if scheme.eq_ignore_ascii_case("https") {
        "https"
    } else {
        "http"
    }
}

/// Returns the labels of the prefixed metrics.
fn seed_labels(labels: &Labels) -> [(&str, &str); 3] {
    [Label::Method, Label::Route, Label::StatusCode]
        .map(|label| (label.name(), labels.value(label)))
}

/// Returns the attributes of the semantic conventions for HTTP or for RPC; a backend ignores empty values.
fn conventions_labels(labels: &Labels) -> Vec<(&'static str, &str)> {
    let value = |label| labels.value(label);
    let error_type = ("error_type", value(Label::ErrorType));
    let peer = ("server_address", value(Label::Peer));
    if labels.get(Label::RpcMethod).is_some() {
        return vec![
            ("rpc_system_name", "grpc"),
            ("rpc_method", value(Label::RpcMethod)),
            ("rpc_response_status_code", value(Label::RpcStatus)),
            peer,
            error_type,
        ];
    }
    // The conventions omit the route of an unmatched request.
    let route = Some(value(Label::Route)).filter(|route| *route != "unmatched");
    vec![
        ("http_request_method", value(Label::Method)),
        ("http_route", route.unwrap_or_default()),
        ("http_response_status_code", value(Label::StatusCode)),
        ("url_scheme", value(Label::UrlScheme)),
        peer,
        error_type,
    ]
}
