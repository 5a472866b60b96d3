//! Whom a client trusts, and how it says who it is. TLS is rustls with ring, given as an argument: nothing is installed
//! for the whole process, and no client of the application's is changed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::Uri;
use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};

use crate::traces::TracesError;

/// Files of certificates and keys (PEM), and where the configuration names them.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    /// Where they stand: `traces.otlp`, say.
    pub(super) key: &'static str,
    /// Authorities to trust instead of the platform's.
    pub(super) certificate: Option<&'a PathBuf>,
    /// The client's own certificate, with those it was signed by, and its key.
    pub(super) client: Option<(&'a PathBuf, &'a PathBuf)>,
}

impl Files<'_> {
    /// For a client of `endpoint`. The platform's authorities are only read where it needs TLS.
    pub(super) fn config(&self, endpoint: &Uri) -> Result<ClientConfig, TracesError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match self.certificate {
            Some(path) => builder.with_root_certificates(self.authorities(path)?),
            None if endpoint.scheme_str() == Some("https") => {
                let trusting = builder.with_native_roots();
                trusting.map_err(|source| TracesError::Platform {
                    key: self.key("certificate"),
                    source,
                })?
            }
            None => builder.with_root_certificates(RootCertStore::empty()),
        };
        let Some((certificate, key)) = self.client else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = self.certificates("client_certificate", certificate)?;
        let read = PrivateKeyDer::from_pem_file(key);
        let found = read.map_err(|error| self.unusable("client_key", key, reason(error)))?;
        // It fails where it is no key, or one of another certificate.
        let with_client = builder.with_client_auth_cert(chain, found);
        with_client.map_err(|error| self.unusable("client_key", key, error.to_string()))
    }

    fn authorities(&self, path: &Path) -> Result<RootCertStore, TracesError> {
        const KEY: &str = "certificate";
        let mut store = RootCertStore::empty();
        for certificate in self.certificates(KEY, path)? {
            let added = store.add(certificate);
            added.map_err(|error| self.unusable(KEY, path, error.to_string()))?;
        }
        Ok(store)
    }

    fn certificates(
        &self,
        key: &str,
        path: &Path,
    ) -> Result<Vec<CertificateDer<'static>>, TracesError> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let found: Vec<_> = read.map_err(|error| self.unusable(key, path, reason(error)))?;
        if found.is_empty() {
            return Err(self.unusable(key, path, reason(pem::Error::NoItemsFound)));
        }
        Ok(found)
    }

    fn unusable(&self, key: &str, path: &Path, reason: String) -> TracesError {
        TracesError::Certificate {
            key: self.key(key),
            path: path.to_owned(),
            reason,
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.key)
    }
}

/// Without anything of the file: the reader names a line that it cannot read, and a key may be all on that line.
fn reason(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        _ => "it is no PEM that can be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// Files that are gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn folder() -> Folder {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("observatory-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["client".to_owned()]).unwrap();
        (
            certificate.self_signed(&key).unwrap().pem(),
            key.serialize_pem(),
        )
    }

    fn error(certificate: Option<&PathBuf>, client: Option<(&PathBuf, &PathBuf)>) -> String {
        let files = Files {
            key: "push.otlp",
            certificate,
            client,
        };
        files
            .config(&Uri::from_static("https://collector"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_key_and_nothing_of_it_is_shown() {
        let folder = folder();
        let ((certificate, key), (_, other_key)) = (pair(), pair());
        let certificate = folder.file("client.pem", &certificate);
        // As it comes out of a variable that lost its line breaks.
        let in_one_line = folder.file("flat.pem", &key.replace('\n', " "));
        let (other, empty) = (folder.file("other", &other_key), folder.file("empty", ""));
        let (missing, key) = (folder.0.join("missing"), folder.file("key.pem", &key));
        let secret: String = key_text(&key);
        for (found, name, path) in [
            (error(Some(&missing), None), "certificate", &missing),
            (error(Some(&empty), None), "certificate", &empty),
            (error(Some(&key), None), "certificate", &key),
            (error(Some(&in_one_line), None), "certificate", &in_one_line),
            (
                error(Some(&certificate), Some((&missing, &key))),
                "client_certificate",
                &missing,
            ),
            (
                error(Some(&certificate), Some((&key, &key))),
                "client_certificate",
                &key,
            ),
            (
                error(Some(&certificate), Some((&certificate, &empty))),
                "client_key",
                &empty,
            ),
            (
                error(Some(&certificate), Some((&certificate, &in_one_line))),
                "client_key",
                &in_one_line,
            ),
            (
                error(Some(&certificate), Some((&certificate, &other))),
                "client_key",
                &other,
            ),
        ] {
            let expected = format!(
                "push.otlp.{name} is {}, which cannot be used: ",
                path.display()
            );
            assert!(found.starts_with(&expected), "{found}");
            assert!(!found.contains(&secret), "{found}");
        }
        let files = Files {
            key: "push.otlp",
            certificate: Some(&certificate),
            client: Some((&certificate, &key)),
        };
        assert!(
            files
                .config(&Uri::from_static("https://collector"))
                .unwrap()
                .client_auth_cert_resolver
                .has_certs()
        );
    }

    /// What must be shown to nobody: some of the first line of the key.
    fn key_text(path: &Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().nth(1).unwrap()[..20].to_owned()
    }
}
