//! Annotates HTTP exchanges: a span that lives until the last byte of the response is out, or the client is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{Stream, StreamExt as _};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::ledger::{Ledger, OpenExchange};

/// nginx's code for a client that left before it was answered.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One exchange; it ends when this is dropped.
struct Exchange {
    status_code: u16,
    response_bytes: u64,
    ledger: Arc<Ledger>,
    span: Span,
    /// The last field: dropped when the span is closed, so that "none open" means "all recorded".
    _open: OpenExchange,
}

/// A response body that carries its exchange.
struct MonitoredBody {
    body: BodyDataStream,
    exchange: Exchange,
}

/// Middleware around all routes.
pub(crate) async fn monitor(
    State(ledger): State<Arc<Ledger>>,
    request: Request,
    next: Next,
) -> Response {
    let open = ledger.open_exchange();
    let span = info_span!(
        "http_request",
        method = request.method().as_str(),
        // The pattern and never the path, which has no bound.
        route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("unmatched", MatchedPath::as_str),
        request_size = content_length(&request),
        status_code = Empty,
        response_size = Empty,
    );
    let status_code = CLIENT_CLOSED_REQUEST;
    let mut exchange = Exchange {
        status_code,
        response_bytes: 0,
        ledger,
        span: span.clone(),
        _open: open,
    };

    let response = next.run(request).instrument(span).await;

    exchange.status_code = response.status().as_u16();
    let (mut parts, body) = response.into_parts();
    // A stream has no known size any more, so say it before.
    if let Some(size) = body.size_hint().exact() {
        parts.headers.entry(CONTENT_LENGTH).or_insert(size.into());
    }
    let body = MonitoredBody {
        body: body.into_data_stream(),
        exchange,
    };
    Response::from_parts(parts, Body::from_stream(body))
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.ledger.count_response(self.status_code);
        self.span.record("status_code", self.status_code);
        self.span.record("response_size", self.response_bytes);
    }
}

impl Stream for MonitoredBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.body.poll_next_unpin(context));
        if let Some(Ok(bytes)) = &item {
            self.exchange.response_bytes += bytes.len() as u64;
        }
        Poll::Ready(item)
    }
}

fn content_length(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
