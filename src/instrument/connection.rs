//! Connections that are open.

use tracing::{Span, field::Empty, info_span};

use super::owned::Owned;

/// A connection that is open; it is closed when this is dropped, so `active_connections` never drifts.
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
    /// A connection of this type, `http`, `grpc` or `websocket`, was opened.
    pub fn open(connection_type: &str) -> Self {
        // A root: whatever is current where a connection is accepted has nothing to do with it.
        Self(Owned::new(info_span!(
            parent: None,
            "connection",
            connection_type,
            observatory.ended = Empty
        )))
    }

    /// The span that lives as long as the connection.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0
    }
}
