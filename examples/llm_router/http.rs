//! Counts HTTP exchanges for the ledger. Monitoring them takes one line in `server.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use crate::ledger::{Ledger, OpenExchange};

/// nginx's status code for a client that disconnected before the response was complete.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One HTTP exchange, which ends when this value is dropped.
struct Exchange {
    /// The status code of the response, if the client received all of it.
    status_code: u16,
    is_whole: bool,
    ledger: Arc<Ledger>,
    _open: OpenExchange,
}

/// A response body that carries its exchange. The monitored body is dropped before the exchange, so that "no exchange
/// open" implies "all requests recorded".
struct AccountedBody {
    body: Body,
    exchange: Exchange,
}

/// Counts the exchanges of the monitored routes.
pub(crate) async fn account(
    State(ledger): State<Arc<Ledger>>,
    request: Request,
    next: Next,
) -> Response {
    let mut exchange = Exchange {
        status_code: CLIENT_CLOSED_REQUEST,
        is_whole: false,
        _open: ledger.open_exchange(),
        ledger,
    };
    let response = next.run(request).await;
    exchange.status_code = response.status().as_u16();
    response.map(|body| {
        exchange.is_whole = body.is_end_stream();
        Body::new(AccountedBody { body, exchange })
    })
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.ledger.count_response(if self.is_whole {
            self.status_code
        } else {
            CLIENT_CLOSED_REQUEST
        });
    }
}

impl HttpBody for AccountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.exchange.is_whole = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
