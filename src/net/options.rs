//! Options of the client that alert channels use.

use std::{path::PathBuf, time::Duration};

use super::{
    ClientError, OutgoingClient,
    client::{CONNECT_TIMEOUT, Protocol, Settings},
    tls::{Tls, TlsFiles},
};

use crate::settings::setters;

/// The key of these options in the configuration.
const KEY: &str = "alerting.http";

/// Options of the HTTP client of alert channels.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Time for a connection, from the name lookup to the end of the TLS handshake. Default: 5 s.
    pub connect_timeout: Duration,
    /// Time for a request and its response. Default: 10 s.
    pub timeout: Duration,
    /// Certificate authorities (DER) to trust instead of the platform's. Default: none.
    #[serde(skip)]
    pub authorities: Vec<Vec<u8>>,
    /// A file of certificate authorities (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
    /// A file of the client's certificate chain (PEM), for a receiver that asks for a client certificate; used together
    /// with `client_key`. Default: none.
    pub client_certificate: Option<PathBuf>,
    /// A file of the private key of that certificate (PEM: PKCS #8, PKCS #1 or SEC 1). Default: none.
    pub client_key: Option<PathBuf>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            timeout: Duration::from_secs(10),
            authorities: Vec::new(),
            certificate: None,
            client_certificate: None,
            client_key: None,
        }
    }
}

impl ClientOptions {
    /// Sets the time for a connection and the time for a whole request.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, whole: Duration) -> Self {
        (self.connect_timeout, self.timeout) = (connect, whole);
        self
    }

    setters! {
        /// Trusts this certificate authority (DER) instead of the platform's.
        with_authority(der: Vec<u8>) { self.authorities.push(der) }

        /// Trusts the certificate authorities in this file (PEM) instead of the platform's.
        with_certificate(path: impl Into<PathBuf>) { self.certificate = Some(path.into()) }
    }

    /// Identifies the client by the certificate chain and the private key in these files (PEM).
    #[must_use]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        (self.client_certificate, self.client_key) = (Some(certificate.into()), Some(key.into()));
        self
    }
}

impl OutgoingClient {
    /// Builds a client for alert channels.
    ///
    /// # Errors
    /// When an authority is no certificate, or a file cannot be used.
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let certificate = options.client_certificate.as_ref();
        let files = TlsFiles {
            key: KEY,
            certificate: options.certificate.as_ref(),
            client: certificate.zip(options.client_key.as_ref()),
        };
        Ok(Self::with_settings(Settings {
            protocol: Protocol::Http1,
            connect_timeout: options.connect_timeout,
            timeout: Some(options.timeout),
            tls: Tls::new(files, &options.authorities)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Uri, body::Bytes};

    use super::*;

    #[tokio::test]
    async fn a_handshake_that_hangs_is_no_connection_and_nothing_was_received() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let url: Uri = url.parse().unwrap();
        let options = ClientOptions::default()
            .with_timeouts(Duration::from_millis(100), Duration::from_mins(1));
        let client = OutgoingClient::new(&options).unwrap();
        let sent = client.post(&url, &HeaderMap::new(), Bytes::new()).await;
        let error = sent.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot connect: no connection within 100ms"
        );
        assert!(!error.maybe_received());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_key() {
        let options = ClientOptions::default().with_certificate("/nonexistent/ca.pem");
        let error = OutgoingClient::new(&options).unwrap_err().to_string();
        let expected = "alerting.http.certificate is /nonexistent/ca.pem, which cannot be used: ";
        assert!(error.starts_with(expected), "{error}");
    }
}
