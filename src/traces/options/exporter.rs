//! Where traces go.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::Signal;
use crate::{
    net::{Endpoint, is_header_name, is_header_value, without_secrets},
    privacy::Secret,
    settings::ConfigError,
};

/// A span with what belongs to it fits into it; whoever wrote less meant another unit.
const LEAST_REQUEST: usize = 64 << 10;

/// Somewhere that traces go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceExporter {
    /// A Collector, or whatever takes OTLP.
    Otlp,
    /// Jaeger, over OTLP, or by Thrift over HTTP where its endpoint ends in `/api/traces` (feature `jaeger`).
    Jaeger,
    /// Zipkin, with JSON of its version 2 (feature `zipkin`).
    Zipkin,
    /// Standard output.
    Console,
}

impl TraceExporter {
    /// Every exporter.
    pub const ALL: [Self; 4] = [Self::Otlp, Self::Jaeger, Self::Zipkin, Self::Console];

    /// Its name in `OTEL_TRACES_EXPORTER`, and its label in `observatory_spans_total`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Jaeger => "jaeger",
            Self::Zipkin => "zipkin",
            Self::Console => "console",
        }
    }
}

/// How OTLP is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// Where: with the path over HTTP, without one over gRPC. Default: port 4318 of this machine with the path
    /// `/v1/traces` over HTTP, port 4317 over gRPC.
    pub endpoint: Option<String>,
    /// How. Default: protobuf over HTTP.
    pub protocol: OtlpProtocol,
    /// Headers of every request; a key for an account, say. Default: none.
    pub headers: BTreeMap<String, Secret>,
    /// Time that a batch may take, with every retry; 0 is without an end. Default: 10 s.
    pub timeout: Duration,
    /// How bodies are compressed. Default: not at all.
    pub compression: Compression,
    /// Bytes of a request at most, before compression; what is larger goes in several, and a span, a log record or a
    /// point that is larger goes alone. Default: 4,000,000. gRPC: servers take 4 MiB unless they are told otherwise, and
    /// count what they have decompressed; receivers over HTTP take more.
    pub request_bytes: usize,
    /// A file of certificates (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
    /// A file of the certificate (PEM) by which a receiver that asks for one knows this client, with those that it was
    /// signed by; it goes with `client_key`. Default: none.
    pub client_certificate: Option<PathBuf>,
    /// A file of that certificate's key (PEM: PKCS #8, PKCS #1 or SEC 1). Default: none.
    pub client_key: Option<PathBuf>,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf over HTTP.
    #[default]
    HttpProtobuf,
    /// gRPC.
    Grpc,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// How Jaeger is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JaegerConfig {
    /// Where it takes OTLP over gRPC, or Thrift over HTTP: then it ends in `/api/traces`. Default:
    /// `http://localhost:4317`.
    pub endpoint: String,
    /// Time that a batch may take, with every retry; 0 is without an end. Default: 10 s.
    pub timeout: Duration,
    /// Who sends, for basic authentication by Thrift. Default: nobody.
    pub user: Option<String>,
    /// The password that goes with it. Default: none.
    pub password: Option<Secret>,
    /// A file of certificates (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
}

/// How Zipkin is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZipkinConfig {
    /// Where it takes spans. Default: `http://localhost:9411/api/v2/spans`.
    pub endpoint: String,
    /// Time that a batch may take, with every retry; 0 is without an end. Default: 10 s.
    pub timeout: Duration,
    /// A file of certificates (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
}

impl OtlpConfig {
    /// Checks that it can be used for this signal.
    pub(in crate::traces) fn check(&self, signal: Signal) -> Result<(), ConfigError> {
        self.address(signal)?;
        self.check_client(signal.key())?;
        if self.request_bytes < LEAST_REQUEST {
            return Err(ConfigError::Invalid {
                key: format!("{}.request_bytes", signal.key()),
                value: self.request_bytes.to_string(),
                expected: "at least 65536 (64 KiB)",
            });
        }
        for (name, value) in &self.headers {
            let (shown, expected) = if !is_header_name(name) {
                // It may be a whole header, with its secret.
                (
                    "***",
                    "by names of letters, digits and hyphens, without colons",
                )
            } else if !is_header_value(value.expose()) {
                (name.as_str(), "with values of visible ASCII in one line")
            } else {
                continue;
            };
            return Err(ConfigError::Invalid {
                key: format!("{}.headers", signal.key()),
                value: format!("{shown:?}"),
                expected,
            });
        }
        Ok(())
    }

    /// A certificate is of no use without its key, nor a key without a certificate.
    fn check_client(&self, key: &str) -> Result<(), ConfigError> {
        for (name, file) in [
            ("client_certificate", &self.client_certificate),
            ("client_key", &self.client_key),
        ] {
            let is_content = |file: &PathBuf| file.to_string_lossy().contains("-----BEGIN");
            if file.as_ref().is_some_and(is_content) {
                return Err(ConfigError::Invalid {
                    key: format!("{key}.{name}"),
                    value: "\"***\"".to_owned(),
                    expected: "the path of a file, not what is in it",
                });
            }
        }
        let (set, missing) = match (&self.client_certificate, &self.client_key) {
            (Some(_), None) => ("client_certificate", "client_key"),
            (None, Some(_)) => ("client_key", "client_certificate"),
            (Some(_), Some(_)) | (None, None) => return Ok(()),
        };
        Err(ConfigError::Missing {
            key: format!("{key}.{set}"),
            missing: format!("{key}.{missing}"),
        })
    }

    /// Where this signal goes.
    pub(crate) fn address(&self, signal: Signal) -> Result<Endpoint, ConfigError> {
        let Some(text) = &self.endpoint else {
            return Ok(signal.default_endpoint(self.protocol));
        };
        let found = signal.endpoint(self.protocol, text);
        found.map_err(|expected| refused(&format!("{}.endpoint", signal.key()), text, expected))
    }
}

impl JaegerConfig {
    pub(in crate::traces) const RIGHT_USER: &str =
        "a name without a colon, as basic authentication wants it";
    pub(in crate::traces) const RIGHT_WITHOUT_THRIFT: &str = "one for OTLP over gRPC, `http://jaeger:4317`, which Jaeger takes since 1.35, or the feature `jaeger` added for Thrift";
    pub(in crate::traces) const RIGHT: &str = "a URL for OTLP over gRPC, `http://jaeger:4317`, say, or one for Thrift over HTTP, `http://jaeger:14268/api/traces`, without user and password";

    /// Whether the endpoint is one for Thrift over HTTP.
    #[must_use]
    pub fn is_thrift(&self) -> bool {
        let path = self.endpoint.split('?').next().unwrap_or_default();
        path.trim_end_matches('/').ends_with("/api/traces")
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Result<Endpoint, ConfigError> {
        let found = if self.is_thrift() {
            // Jaeger's router knows the path without a slash behind it.
            Endpoint::new(&self.endpoint).map(|endpoint| {
                let path = endpoint.path().trim_end_matches('/').to_owned();
                endpoint.with_path(&path)
            })
        } else {
            Endpoint::for_grpc(&self.endpoint)
        };
        found.ok_or_else(|| refused("traces.jaeger.endpoint", &self.endpoint, Self::RIGHT))
    }
}

impl ZipkinConfig {
    pub(in crate::traces) const RIGHT: &str =
        "a URL without user and password, `http://zipkin:9411/api/v2/spans`, say";

    /// Where it is.
    pub(crate) fn address(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::new(&self.endpoint)
            .ok_or_else(|| refused("traces.zipkin.endpoint", &self.endpoint, Self::RIGHT))
    }
}

fn refused(key: &str, text: &str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{:?}", without_secrets(text)),
        expected,
    }
}

/// How spans are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsoleFormat {
    /// A line for people, with what belongs to the span below it.
    #[default]
    Pretty,
    /// A JSON object on a line.
    Json,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: OtlpProtocol::HttpProtobuf,
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            request_bytes: 4_000_000,
            certificate: None,
            client_certificate: None,
            client_key: None,
        }
    }
}

impl Default for JaegerConfig {
    fn default() -> Self {
        Self {
            endpoint: "http://localhost:4317".to_owned(),
            timeout: Duration::from_secs(10),
            user: None,
            password: None,
            certificate: None,
        }
    }
}

impl Default for ZipkinConfig {
    fn default() -> Self {
        Self {
            endpoint: "http://localhost:9411/api/v2/spans".to_owned(),
            timeout: Duration::from_secs(10),
            certificate: None,
        }
    }
}
