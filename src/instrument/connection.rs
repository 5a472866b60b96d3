//! Counts open connections.

use tracing::{Span, field::Empty, info_span};

use super::owned::Owned;

/// An open connection. Dropping the guard closes it, so `active_connections` cannot drift.
///
/// ```
/// use llm_observatory::instrument::ConnectionGuard;
///
/// let open = ConnectionGuard::open("websocket");
/// // … as long as the connection lives
/// drop(open);
/// ```
#[derive(Debug)]
#[must_use = "the connection counts as open until this is dropped"]
pub struct ConnectionGuard(Owned);

impl ConnectionGuard {
    /// Counts an opened connection of this type: `http`, `grpc`, `websocket`, …
    pub fn open(connection_type: &str) -> Self {
        // A root span: the current span of the accept loop is unrelated to the connection.
        Self(Owned::new(info_span!(
            parent: None,
            "connection",
            connection_type,
            observatory.ended = Empty
        )))
    }

    /// Returns the span of the connection.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0
    }
}
