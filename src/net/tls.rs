//! Configures TLS: the certificate authorities that a client trusts, and the certificate that identifies the client.
//!
//! TLS is rustls with ring, passed as an argument: nothing is installed for the whole process, and no client of the
//! application changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::ResolvesClientCert,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{ClientError, roots::platform_roots};

/// Files of certificates and private keys (PEM), and their place in the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsFiles<'a> {
    /// The key of the section that names the files, such as `traces.otlp`.
    pub(crate) key: &'a str,
    /// Certificate authorities to trust instead of the platform's.
    pub(crate) certificate: Option<&'a PathBuf>,
    /// The client's certificate chain and its private key.
    pub(crate) client: Option<(&'a PathBuf, &'a PathBuf)>,
}

/// The TLS settings of a client. The files are read when the value is built; the platform's root certificates are read
/// when an https connector is built.
pub(crate) struct Tls {
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    /// `None`: the platform's.
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<dyn ResolvesClientCert>>,
}

impl Tls {
    /// Reads the files, and adds certificate authorities given as DER.
    pub(crate) fn new(files: TlsFiles<'_>, authorities: &[Vec<u8>]) -> Result<Self, ClientError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for der in authorities {
            roots.add(CertificateDer::from(der.clone()))?;
        }
        if let Some(path) = files.certificate {
            files.add_authorities(path, &mut roots)?;
        }
        let identity = match files.client {
            None => None,
            Some((certificate, key)) => Some(files.identity(certificate, key, &provider)?),
        };
        Ok(Self {
            builder: ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?,
            roots: (!roots.is_empty()).then(|| Arc::new(roots)),
            identity,
        })
    }

    /// The configuration of a connector, for https URLs or for http URLs only.
    pub(super) fn config(&self, is_https: bool) -> ClientConfig {
        let roots = match &self.roots {
            Some(roots) => Arc::clone(roots),
            None if is_https => Arc::clone(&platform_roots().store),
            None => Arc::new(RootCertStore::empty()),
        };
        let builder = self.builder.clone().with_root_certificates(roots);
        match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::clone(identity)),
        }
    }
}

impl TlsFiles<'_> {
    fn add_authorities(&self, path: &Path, roots: &mut RootCertStore) -> Result<(), ClientError> {
        const KEY: &str = "certificate";
        for certificate in self.certificates(KEY, path)? {
            let added = roots.add(certificate);
            added.map_err(|error| self.unusable(KEY, path, error.to_string()))?;
        }
        Ok(())
    }

    fn identity(
        &self,
        certificate: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<Arc<dyn ResolvesClientCert>, ClientError> {
        let unusable = |reason| self.unusable("client_key", key, reason);
        let chain = self.certificates("client_certificate", certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(reason(error)))?;
        // Fails for a malformed key, and for the key of another certificate.
        let certified = CertifiedKey::from_der(chain, private, provider)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Arc::new(SingleCertAndKey::from(certified)))
    }

    fn certificates(
        &self,
        key: &str,
        path: &Path,
    ) -> Result<Vec<CertificateDer<'static>>, ClientError> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let found: Vec<_> = read.map_err(|error| self.unusable(key, path, reason(error)))?;
        if found.is_empty() {
            return Err(self.unusable(key, path, reason(pem::Error::NoItemsFound)));
        }
        Ok(found)
    }

    fn unusable(&self, key: &str, path: &Path, reason: String) -> ClientError {
        ClientError::Certificate {
            key: format!("{}.{key}", self.key),
            path: path.to_owned(),
            reason,
        }
    }
}

/// The reason without any content of the file: the PEM reader quotes a line that it cannot parse, and a whole private
/// key may stand on one line.
fn reason(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        _ => "it is no PEM that can be read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
