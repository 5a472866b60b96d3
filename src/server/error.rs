//! Errors of starting the server.

use std::{io, net::SocketAddr};

/// The server could not be started.
pub(crate) enum ServerError {
    /// The address cannot be bound.
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    /// The thread cannot be started.
    Thread {
        name: &'static str,
        source: io::Error,
    },
}
