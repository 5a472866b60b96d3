//! Errors of the outgoing HTTP client.

use std::{error::Error, io, path::PathBuf, time::Duration};

use hyper_util::client::legacy;

use crate::runtime::error_text::{debug_is_a_sentence, sentence};

debug_is_a_sentence!(ClientError);

/// An HTTP client cannot be built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A file of certificates, or of a private key, cannot be used.
    #[error("{key} is {}, which cannot be used: {reason}", path.display())]
    Certificate {
        /// The key of the file in the configuration, such as `traces.otlp.certificate`.
        key: String,
        /// The path of the file.
        path: PathBuf,
        /// The reason, without any content of the file.
        reason: String,
    },
    /// TLS cannot be configured.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
}

/// A request failed before its response was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The response did not arrive within the client's timeout.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection was not established within the connect timeout.
    #[error("cannot connect: no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection could not be established, or broke. The error of hyper itself only says at which step.
    #[error("{}: {}", step(.0), .0.source().map_or_else(|| .0.to_string(), sentence))]
    Exchange(#[from] legacy::Error),
    /// The connection broke inside the response.
    #[error("the connection broke: {}", sentence(.0))]
    Body(#[source] hyper::Error),
    /// The URL or a header cannot be sent.
    #[error("{}", sentence(.0))]
    Request(#[from] hyper::http::Error),
}

impl SendError {
    /// Returns `true` if the request may have reached the receiver.
    #[cfg(feature = "alerting")]
    pub(crate) fn maybe_received(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Body(_) => true,
            Self::Exchange(error) => !error.is_connect(),
            Self::ConnectTimeout(_) | Self::Request(_) => false,
        }
    }

    /// The text of the innermost cause: `Connection refused`, where hyper's own error says `client error`.
    #[cfg(feature = "otlp")]
    pub(crate) fn root_cause(&self) -> String {
        let mut error: &dyn Error = self;
        while let Some(source) = error.source() {
            error = source;
        }
        error.to_string()
    }
}

/// The step of a request that failed.
fn step(error: &legacy::Error) -> &'static str {
    if is_tls_error(error) {
        "TLS failed"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke"
    }
}

/// Returns `true` if rustls is among the causes of an error. An I/O error does not return its inner error from
/// `source`.
pub(crate) fn is_tls_error(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    inner.is_some_and(|inner| is_tls_error(inner)) || error.source().is_some_and(is_tls_error)
}
