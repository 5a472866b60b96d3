//! Where an exporter sends, as the configuration checked it.

use hyper::Uri;

use super::Exporter;
use crate::{net::Endpoint, traces::TracesError};

/// The address, for the client.
pub(super) fn uri(endpoint: &Endpoint) -> Result<Uri, TracesError> {
    // What a configuration accepts, the client accepts; where it did not, nothing must be sent elsewhere.
    let uri = endpoint.expose().parse();
    uri.map_err(|_| TracesError::Address(endpoint.to_string()))
}

impl Exporter {
    /// Where it sends, as it may be shown.
    pub(in crate::traces) fn address(&self) -> String {
        match self {
            Self::Otlp(otlp) => otlp.address().to_string(),
            #[cfg(feature = "jaeger")]
            Self::Thrift(thrift) => thrift.address().to_string(),
            #[cfg(feature = "zipkin")]
            Self::Zipkin(zipkin) => zipkin.address().to_string(),
            Self::Console(_) => "standard output".to_owned(),
            #[cfg(test)]
            Self::Test(_) => "nowhere".to_owned(),
        }
    }
}
