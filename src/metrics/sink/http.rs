//! The series of HTTP requests, served and sent, and of the remote procedures in them.
//!
//! Beside the seed's metrics stand those of the semantic conventions (HTTP stable, RPC release candidate): a
//! request is one observation in `http.server.request.duration` or, where it is gRPC, in
//! `rpc.server.call.duration`, never in both.

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

/// Served HTTP requests of one method, route and status code.
pub(super) struct HttpSeries<B: Backend> {
    requests: B::Counter,
    duration: B::Histogram,
    /// The conventions' duration of what did not fail; that of what did stands beside its error type.
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

/// HTTP requests to one peer, of one method and status code.
pub(super) struct HttpClientSeries<B: Backend> {
    /// Of what did not fail.
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

/// Messages of one remote procedure, once there were any.
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

/// HTTP requests under way.
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

/// The labels of a request under way: a scheme where it is served here, else the peer.
pub(super) fn in_flight_labels(request: InFlight<'_>) -> Labels {
    let mut labels = Labels::new();
    labels.set(Label::Method, known_method(request.method));
    match request.peer {
        None => labels.set(Label::UrlScheme, scheme(request.scheme)),
        Some(peer) => labels.set(Label::Peer, peer),
    }
    labels
}

/// The conventions' histogram for served requests with these labels.
pub(super) fn server_duration<B: Backend>(backend: &B, labels: &Labels) -> B::Histogram {
    let metric = match labels.get(Label::RpcMethod) {
        Some(_) => &catalog::RPC_SERVER_DURATION,
        None => &catalog::HTTP_SERVER_DURATION,
    };
    backend.histogram(metric, &conventions_labels(labels))
}

/// The conventions' histogram for sent requests with these labels.
pub(super) fn client_duration<B: Backend>(backend: &B, labels: &Labels) -> B::Histogram {
    let metric = match labels.get(Label::RpcMethod) {
        Some(_) => &catalog::RPC_CLIENT_DURATION,
        None => &catalog::HTTP_CLIENT_DURATION,
    };
    backend.histogram(metric, &conventions_labels(labels))
}

/// The labels of a request. Only what HTTP defines gets through: method and status code are bounded labels.
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
        // nginx's code for a client that left.
        (None, Outcome::Cancelled) => labels.set(Label::StatusCode, "499"),
        (None, Outcome::Timeout) => labels.set(Label::StatusCode, "504"),
        (None, Outcome::Error) => labels.set(Label::StatusCode, "500"),
        (None, Outcome::Success | Outcome::Other) => labels.set(Label::StatusCode, "unknown"),
    }
    labels.set(Label::UrlScheme, scheme(request.scheme));
    set_rpc(&mut labels, request.rpc.as_ref(), status);
    labels
}

/// The class of a served request's failure; `None` if it did not fail.
pub(super) fn failure<'a>(request: &HttpRequest<'a>, labels: &'a Labels) -> Option<&'a str> {
    let code = labels.value(Label::StatusCode);
    if !code.starts_with('5') && !request.outcome.is_failure() {
        return None;
    }
    Some(match (request.error_type, labels.get(Label::RpcStatus)) {
        ("", None) => code,
        ("", Some(status)) => status,
        (named, _) => named,
    })
}

/// The labels of a request that was sent.
pub(super) fn http_client_labels(request: &HttpClientRequest<'_>) -> Labels {
    let mut labels = Labels::new();
    labels.set(Label::Method, known_method(request.method));
    // gRPC answers 200, whatever it says; without an answer there is no code.
    let code = request.status_code.filter(|_| request.rpc.is_none());
    if let Some(code) = code.filter(|code| (100..600).contains(code)) {
        labels.set(Label::StatusCode, itoa::Buffer::new().format(code));
    }
    labels.set(Label::Peer, request.peer);
    let status = request.rpc.map(|rpc| rpc_status(&rpc, request.outcome));
    set_rpc(&mut labels, request.rpc.as_ref(), status);
    labels
}

/// The class of a sent request's failure; `None` if it did not fail. To a client, what the server refused is an
/// error too.
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

/// What the conventions call a method that the server does not know.
const UNKNOWN_METHOD: &str = "_OTHER";

/// What the server said; what follows from how the call ended, where it said nothing.
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

/// The seed's three labels.
fn seed_labels(labels: &Labels) -> [(&str, &str); 3] {
    [Label::Method, Label::Route, Label::StatusCode]
        .map(|label| (label.name(), labels.value(label)))
}

/// The attributes of the semantic conventions, for HTTP or for RPC; a registry drops those that are empty.
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
    // The conventions leave the route out where there is none.
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
