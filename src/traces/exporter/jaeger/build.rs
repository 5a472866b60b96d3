//! Builds the exporter for the protocol of the endpoint.

use opentelemetry_sdk::Resource;

use super::super::{Export, otlp::Otlp};
use crate::traces::{JaegerConfig, OtlpConfig, OtlpProtocol, TracesConfig, TracesError};

/// The section of the configuration.
pub(super) const KEY: &str = "traces.jaeger";

pub(super) fn build(
    config: &TracesConfig,
    resource: &Resource,
) -> Result<Box<dyn Export>, TracesError> {
    let jaeger = &config.jaeger;
    #[cfg(feature = "jaeger")]
    if jaeger.is_thrift() {
        return Ok(Box::new(super::thrift::Thrift::new(jaeger, resource)?));
    }
    Ok(Box::new(by_otlp(jaeger, resource)?))
}

/// Jaeger accepts OTLP since 1.35.
fn by_otlp(jaeger: &JaegerConfig, resource: &Resource) -> Result<Otlp, TracesError> {
    let otlp = OtlpConfig {
        protocol: OtlpProtocol::Grpc,
        timeout: jaeger.timeout,
        certificate: jaeger.certificate.clone(),
        ..OtlpConfig::default()
    };
    Otlp::to(jaeger.address()?, &otlp, KEY, resource)
}
