//! Exports spans to Jaeger: by OTLP over gRPC, or by Thrift over HTTP for an endpoint that ends in `/api/traces`.

#[cfg(feature = "otlp")]
mod build;
#[cfg(feature = "jaeger")]
mod convert;
mod options;
#[cfg(feature = "jaeger")]
mod thrift;

pub use self::options::JaegerConfig;
use super::Spec;

pub(super) const SPEC: Spec = Spec {
    aliases: &[],
    variables: options::VARIABLES,
    validate: options::validate,
    #[cfg(feature = "otlp")]
    build: Some(build::build),
};
