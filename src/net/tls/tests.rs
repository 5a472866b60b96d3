use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A directory that is removed at the end of the test.
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
    let files = TlsFiles {
        key: "push.otlp",
        certificate,
        client,
    };
    Tls::new(files, &[]).err().unwrap().to_string()
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key_and_nothing_of_it_is_shown() {
    let folder = folder();
    let ((certificate, key), (_, other_key)) = (pair(), pair());
    let certificate = folder.file("client.pem", &certificate);
    // The content of a variable that lost its line breaks.
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
    let files = TlsFiles {
        key: "push.otlp",
        certificate: Some(&certificate),
        client: Some((&certificate, &key)),
    };
    let config = Tls::new(files, &[]).unwrap().config(true);
    assert!(config.client_auth_cert_resolver.has_certs());
}

/// Text that no error may contain: the beginning of the first line of the key.
fn key_text(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().nth(1).unwrap()[..20].to_owned()
}
