//! Defines the options of the exporters.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::Signal;
use crate::{
    net::{Endpoint, is_header_name, is_header_value, without_secrets},
    privacy::Secret,
    settings::ConfigError,
};

/// A smaller limit would not hold a single span, and is most likely in another unit.
const LEAST_REQUEST: usize = 64 << 10;

/// An exporter of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceExporter {
    /// An OpenTelemetry Collector, or another receiver of OTLP.
    Otlp,
    /// Jaeger, over OTLP, or over Thrift by HTTP if the endpoint ends in `/api/traces` (feature `jaeger`).
    Jaeger,
    /// Zipkin, with JSON of its version 2 (feature `zipkin`).
    Zipkin,
    /// Standard output.
    Console,
}

impl TraceExporter {
    /// Every exporter.
    pub const ALL: [Self; 4] = [Self::Otlp, Self::Jaeger, Self::Zipkin, Self::Console];

    /// The name in `OTEL_TRACES_EXPORTER`, and the label in `observatory_spans_total`.
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

/// The options of OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The endpoint, with the path over HTTP, without a path over gRPC. Default: port 4318 of this machine with the path
    /// `/v1/traces` over HTTP, port 4317 over gRPC.
    pub endpoint: Option<String>,
    /// The protocol. Default: protobuf over HTTP.
    pub protocol: OtlpProtocol,
    /// Headers of every request, such as an API key. Default: no headers.
    pub headers: BTreeMap<String, Secret>,
    /// The time limit of a batch, retries included; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// The compression of request bodies. Default: no compression.
    pub compression: Compression,
    /// The maximum size of a request in bytes, before compression. A larger batch is sent in several requests; a span, a
    /// log record or a data point that is larger is sent alone. Default: 4,000,000. The default limit of gRPC servers is
    /// 4 MiB after decompression; receivers over HTTP accept more.
    pub request_bytes: usize,
    /// A file of root certificates (PEM) in place of the platform's. Default: the platform's.
    pub certificate: Option<PathBuf>,
    /// A file of the client certificate (PEM) and its chain, for receivers that require one. Needs `client_key`.
    /// Default: no client certificate.
    pub client_certificate: Option<PathBuf>,
    /// A file of the private key of the client certificate (PEM: PKCS #8, PKCS #1 or SEC 1). Default: no key.
    pub client_key: Option<PathBuf>,
}

/// The protocol of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf over HTTP.
    #[default]
    HttpProtobuf,
    /// gRPC.
    Grpc,
}

/// The compression of request bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// The options of the Jaeger exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JaegerConfig {
    /// The endpoint for OTLP over gRPC, or for Thrift over HTTP if it ends in `/api/traces`. Default:
    /// `http://localhost:4317`.
    pub endpoint: String,
    /// The time limit of a batch, retries included; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// The user for basic authentication over Thrift. Default: no authentication.
    pub user: Option<String>,
    /// The password of the user. Default: no password.
    pub password: Option<Secret>,
    /// A file of root certificates (PEM) in place of the platform's. Default: the platform's.
    pub certificate: Option<PathBuf>,
}

/// The options of the Zipkin exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZipkinConfig {
    /// The endpoint for spans. Default: `http://localhost:9411/api/v2/spans`.
    pub endpoint: String,
    /// The time limit of a batch, retries included; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// A file of root certificates (PEM) in place of the platform's. Default: the platform's.
    pub certificate: Option<PathBuf>,
}

impl OtlpConfig {
    /// Validates the options for a signal.
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

    /// Validates that a client certificate and its key are set together.
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

    /// The endpoint of a signal.
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

    /// Whether the endpoint is for Thrift over HTTP.
    #[must_use]
    pub fn is_thrift(&self) -> bool {
        let path = self.endpoint.split('?').next().unwrap_or_default();
        path.trim_end_matches('/').ends_with("/api/traces")
    }

    /// The endpoint.
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

    /// The endpoint.
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

/// The format of spans on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsoleFormat {
    /// A readable line, with the attributes and events of the span below.
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
