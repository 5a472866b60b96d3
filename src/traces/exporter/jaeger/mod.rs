//! Exports spans to Jaeger: by OTLP over gRPC, or by Thrift over HTTP for an endpoint that ends in `/api/traces`.

#[cfg(feature = "jaeger")]
mod convert;
#[cfg(feature = "jaeger")]
mod thrift;

use opentelemetry_sdk::Resource;

use super::{Export, otlp::Otlp};
use crate::{
    traces::{JaegerConfig, OtlpConfig, OtlpProtocol, TracesConfig, TracesError},
};

/// The section of the configuration.
const KEY: &str = "traces.jaeger";

pub(super) fn build(
    config: &TracesConfig,
    resource: &Resource,
) -> Result<Box<dyn Export>, TracesError> {
    let jaeger = &config.jaeger;
    #[cfg(feature = "jaeger")]
    if jaeger.is_thrift() {
        return Ok(Box::new(thrift::Thrift::new(jaeger, resource)?));
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
