//! Options of the exporter `zipkin`, and their environment variables.

use std::{path::PathBuf, time::Duration};

use crate::{
    net::Endpoint,
    settings::{ConfigError, Variable, milliseconds, variable},
    traces::{TracesConfig, exporter::spec::invalid_endpoint},
};

/// Options of the exporter `zipkin`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ZipkinConfig {
    /// The URL for spans. Default: `http://localhost:9411/api/v2/spans`.
    pub endpoint: String,
    /// Time for a batch with every retry; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// A file of certificate authorities (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
}

pub(super) const VARIABLES: &[Variable<TracesConfig>] = &[
    Variable::new("OTEL_EXPORTER_ZIPKIN_ENDPOINT", |traces, value| {
        let mut zipkin = traces.zipkin.clone();
        value.clone_into(&mut zipkin.endpoint);
        zipkin.address().map_err(|_| ZipkinConfig::RIGHT)?;
        traces.zipkin = zipkin;
        Ok(())
    }),
    variable!("OTEL_EXPORTER_ZIPKIN_TIMEOUT" => zipkin.timeout, milliseconds),
];

impl Default for ZipkinConfig {
    fn default() -> Self {
        Self {
            endpoint: "http://localhost:9411/api/v2/spans".to_owned(),
            timeout: Duration::from_secs(10),
            certificate: None,
        }
    }
}

impl ZipkinConfig {
    const RIGHT: &str = "a URL without user and password, `http://zipkin:9411/api/v2/spans`, say";

    /// The checked endpoint.
    pub(crate) fn address(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::new(&self.endpoint)
            .ok_or_else(|| invalid_endpoint("traces.zipkin.endpoint", &self.endpoint, Self::RIGHT))
    }
}
