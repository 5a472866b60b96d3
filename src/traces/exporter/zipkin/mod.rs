//! Exports spans to Zipkin as v2 JSON.

#[cfg(feature = "zipkin")]
mod json;
mod options;
#[cfg(feature = "zipkin")]
mod remote;

pub use self::options::ZipkinConfig;
use super::Spec;

pub(super) const SPEC: Spec = Spec {
    aliases: &[],
    variables: options::VARIABLES,
    validate: |traces| traces.zipkin.address().map(drop),
    #[cfg(feature = "zipkin")]
    build: Some(json::build),
    #[cfg(all(feature = "otlp", not(feature = "zipkin")))]
    build: None,
};
