//! Reads the body of each request within a time and a size, and counts the memory of each answer until it is written.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::{
    connections::{Closed, Connection, Connections, count_closed},
    endpoints::ServerState,
    refusal::Refusal,
};
use crate::metrics::Share;

/// The time limit of a whole answer, for a client that reads slowly.
const MAX_ANSWER_TIME: Duration = Duration::from_mins(1);

/// Reads the whole body before the request is answered, so that no endpoint waits for a client.
pub(super) async fn read(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let options = &state.sources.options;
    let (limit, timeout) = (options.max_body_bytes, options.read_timeout);
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(timeout, whole(body, limit)).await {
        Ok(Some(body)) => body,
        Ok(None) => {
            let message = format!(
                "the body of a request has at most {limit} bytes; query.max_query_bytes raises the limit"
            );
            return Refusal::BodySize.answer(&state.sources, &message);
        }
        Err(_) => {
            let message =
                format!("the body did not arrive within server.read_timeout ({timeout:?})");
            return Refusal::BodyTimeout.answer(&state.sources, &message);
        }
    };
    if let Some(connection) = parts.extensions.get::<Arc<Connection>>() {
        connection.begin_answer();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// Reads a body into one buffer, since a body that arrives byte by byte would cost a buffer for each byte. Returns `None`
/// if the body is larger than `limit`; a body that fails ends early, and its request is invalid.
async fn whole(mut body: Body, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if body.size_hint().lower() > limit as u64 {
        return None;
    }
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let data = frame.into_data().unwrap_or_default();
        if bytes.len() + data.len() > limit {
            return None;
        }
        bytes.extend_from_slice(&data);
    }
    Some(bytes)
}

/// Counts the memory of an answer that is a single piece, until the client has taken it. Refuses the answer if the
/// budget of queries is exhausted.
pub(super) async fn account(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    // Answers in pieces count themselves.
    let Some(bytes) = response.body().size_hint().exact() else {
        return response;
    };
    let sources = &state.sources;
    let share = Arc::new(sources.budget.share());
    if let Err(message) = share.hold(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        return refuse_answer(sources, &message);
    }
    let (parts, body) = response.into_parts();
    // The body is complete, so this does not wait.
    let body = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) if !bytes.is_empty() => Body::from(counted(bytes, share)),
        Ok(_) | Err(_) => Body::empty(),
    };
    Response::from_parts(parts, body)
}

#[cfg(feature = "alerting")]
fn refuse_answer(sources: &super::Sources, message: &str) -> Response {
    Refusal::QueryBytes.answer(sources, message)
}

#[cfg(not(feature = "alerting"))]
fn refuse_answer(sources: &super::Sources, message: &str) -> Response {
    Refusal::Busy.answer(sources, message)
}

/// Returns bytes that keep a share of the budget until they are written.
pub(super) fn counted(bytes: impl AsRef<[u8]> + Send + 'static, share: Arc<Share>) -> Bytes {
    Bytes::from_owner(Counted {
        bytes,
        _share: share,
    })
}

struct Counted<B> {
    bytes: B,
    _share: Arc<Share>,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// The body of an answer, which notes its end on the connection, and ends after [`MAX_ANSWER_TIME`].
pub(super) struct AnswerBody {
    body: Body,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    deadline: Instant,
}

impl AnswerBody {
    pub(super) fn new(
        body: Body,
        connection: Arc<Connection>,
        connections: Arc<Connections>,
    ) -> Self {
        Self {
            body,
            connection,
            connections,
            deadline: Instant::now() + MAX_ANSWER_TIME,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_some() && Instant::now() > self.deadline {
            count_closed(self.connections.registry(), Closed::WriteTimeout);
            let error = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.connection.end_answer();
    }
}
