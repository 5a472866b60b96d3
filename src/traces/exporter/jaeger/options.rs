//! Options of the exporter `jaeger`, and their environment variables.

use std::{path::PathBuf, time::Duration};

use crate::{
    net::{Endpoint, without_secrets},
    privacy::Secret,
    settings::{ConfigError, Invalid, Variable, check, milliseconds, variable},
    traces::{TracesConfig, exporter::spec::invalid_endpoint},
};

/// Options of the exporter `jaeger`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JaegerConfig {
    /// The URL of Jaeger for OTLP over gRPC, or for Thrift over HTTP, which ends in `/api/traces`. Default:
    /// `http://localhost:4317`.
    pub endpoint: String,
    /// Time for a batch with every retry; 0 is no limit. Default: 10 s.
    pub timeout: Duration,
    /// The user for basic authentication by Thrift. Default: none.
    pub user: Option<String>,
    /// The password of the user. Default: none.
    pub password: Option<Secret>,
    /// A file of certificate authorities (PEM) to trust instead of the platform's. Default: none.
    pub certificate: Option<PathBuf>,
}

pub(super) const VARIABLES: &[Variable<TracesConfig>] = &[
    Variable::new("OTEL_EXPORTER_JAEGER_ENDPOINT", jaeger_endpoint),
    Variable::new("OTEL_EXPORTER_JAEGER_USER", |traces, value| {
        if value.contains(':') {
            return Err(JaegerConfig::RIGHT_USER);
        }
        traces.jaeger.user = Some(value.to_owned());
        Ok(())
    }),
    Variable::new("OTEL_EXPORTER_JAEGER_PASSWORD", |traces, value| {
        traces.jaeger.password = Some(value.into());
        Ok(())
    }),
    variable!("OTEL_EXPORTER_JAEGER_TIMEOUT" => jaeger.timeout, milliseconds),
];

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

impl JaegerConfig {
    const RIGHT_USER: &str = "a name without a colon, as basic authentication wants it";
    const RIGHT_WITHOUT_THRIFT: &str = "one for OTLP over gRPC, `http://jaeger:4317`, which Jaeger takes since 1.35, or the feature `jaeger` added for Thrift";
    const RIGHT: &str = "a URL for OTLP over gRPC, `http://jaeger:4317`, say, or one for Thrift over HTTP, `http://jaeger:14268/api/traces`, without user and password";

    /// Returns `true` if the endpoint accepts Thrift over HTTP.
    #[must_use]
    pub fn is_thrift(&self) -> bool {
        let path = self.endpoint.split('?').next().unwrap_or_default();
        path.trim_end_matches('/').ends_with("/api/traces")
    }

    /// The checked endpoint.
    pub(crate) fn address(&self) -> Result<Endpoint, ConfigError> {
        let found = if self.is_thrift() {
            // Jaeger's router only knows the path without a trailing slash.
            Endpoint::new(&self.endpoint).map(|endpoint| {
                let path = endpoint.path().trim_end_matches('/').to_owned();
                endpoint.with_path(&path)
            })
        } else {
            Endpoint::for_grpc(&self.endpoint)
        };
        found.ok_or_else(|| invalid_endpoint("traces.jaeger.endpoint", &self.endpoint, Self::RIGHT))
    }
}

pub(super) fn validate(traces: &TracesConfig) -> Result<(), ConfigError> {
    let jaeger = &traces.jaeger;
    jaeger.address()?;
    check(
        jaeger.user.as_ref().is_none_or(|user| !user.contains(':')),
        "traces.jaeger.user",
        &jaeger.user,
        JaegerConfig::RIGHT_USER,
    )?;
    check(
        !jaeger.is_thrift() || cfg!(feature = "jaeger"),
        "traces.jaeger.endpoint",
        &without_secrets(&jaeger.endpoint),
        JaegerConfig::RIGHT_WITHOUT_THRIFT,
    )
}

fn jaeger_endpoint(traces: &mut TracesConfig, text: &str) -> Result<(), Invalid> {
    let mut jaeger = traces.jaeger.clone();
    text.clone_into(&mut jaeger.endpoint);
    if jaeger.is_thrift() && !cfg!(feature = "jaeger") {
        return Err(JaegerConfig::RIGHT_WITHOUT_THRIFT);
    }
    jaeger.address().map_err(|_| JaegerConfig::RIGHT)?;
    traces.jaeger = jaeger;
    Ok(())
}
