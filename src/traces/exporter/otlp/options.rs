//! Options of the OTLP exporters of traces, log records and metrics.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    net::{Endpoint, is_header_name, is_header_value},
    privacy::Secret,
    settings::{ConfigError, at_least, check, check_pair},
    traces::{exporter::spec::invalid_endpoint, options::Signal},
};

/// The smallest size limit of a request: a span with its attributes fits. A smaller value is meant in another unit.
const MIN_REQUEST_BYTES: usize = 64 << 10;

/// Options of an OTLP exporter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The URL, with a path over HTTP and without a path over gRPC. Default: port 4318 of this machine with the path
    /// `/v1/traces` over HTTP, port 4317 over gRPC.
    pub endpoint: Option<String>,
    /// The protocol. Default: protobuf over HTTP.
    pub protocol: OtlpProtocol,
    /// Headers of every request, such as the key of an account. Default: none.
    pub headers: BTreeMap<String, Secret>,
    /// Time for a batch with every retry; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// The compression of bodies. Default: none.
    pub compression: Compression,
    /// The largest size of a request before compression, in bytes. A larger batch is split; a larger span, log record or
    /// point goes alone. Default: 4,000,000. gRPC servers accept 4 MiB after decompression by default; receivers over
    /// HTTP accept more.
    pub request_bytes: usize,
    /// A file of certificate authorities (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
    /// A file of the client's certificate chain (PEM), for a receiver that asks for a client certificate; used together
    /// with `client_key`. Default: none.
    pub client_certificate: Option<PathBuf>,
    /// A file of the private key of that certificate (PEM: PKCS #8, PKCS #1 or SEC 1). Default: none.
    pub client_key: Option<PathBuf>,
}

/// The protocol of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protobuf over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

/// The compression of request bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip.
    Gzip,
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

impl OtlpConfig {
    /// Checks the options for a signal.
    pub(in crate::traces) fn check(&self, signal: Signal) -> Result<(), ConfigError> {
        self.address(signal)?;
        self.check_client(signal.key())?;
        let key = format!("{}.request_bytes", signal.key());
        at_least(&key, &self.request_bytes, MIN_REQUEST_BYTES)?;
        for (name, value) in &self.headers {
            let (shown, expected) = if !is_header_name(name) {
                // The name may be a whole header with its secret.
                (
                    "***",
                    "by names of letters, digits and hyphens, without colons",
                )
            } else if !is_header_value(value.expose()) {
                (name.as_str(), "with values of visible ASCII in one line")
            } else {
                continue;
            };
            check(
                false,
                &format!("{}.headers", signal.key()),
                &shown,
                expected,
            )?;
        }
        Ok(())
    }

    /// Checks that certificate and key are set together, and are paths.
    fn check_client(&self, key: &str) -> Result<(), ConfigError> {
        for (name, file) in [
            ("client_certificate", &self.client_certificate),
            ("client_key", &self.client_key),
        ] {
            let is_content = |file: &PathBuf| file.to_string_lossy().contains("-----BEGIN");
            check(
                !file.as_ref().is_some_and(is_content),
                &format!("{key}.{name}"),
                &"***",
                "the path of a file, not what is in it",
            )?;
        }
        check_pair(
            key,
            ("client_certificate", self.client_certificate.is_some()),
            ("client_key", self.client_key.is_some()),
        )
    }

    /// The checked endpoint of a signal.
    pub(crate) fn address(&self, signal: Signal) -> Result<Endpoint, ConfigError> {
        let Some(text) = &self.endpoint else {
            return Ok(signal.default_endpoint(self.protocol));
        };
        let found = signal.endpoint(self.protocol, text);
        found.map_err(|expected| {
            invalid_endpoint(&format!("{}.endpoint", signal.key()), text, expected)
        })
    }
}
