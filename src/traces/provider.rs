//! Builds the SDK's tracer provider with the sampler of the gate, the span limits and the resource.

use std::sync::Arc;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{SdkTracerProvider, SpanLimits},
};

use super::{
    gate::{GateIds, GateSampler},
    pipeline::Intake,
    sampling::HeadSampler,
};
use crate::traces::SpanLimits as Limits;

pub(super) fn provider(
    intake: Intake,
    sampler: &Arc<HeadSampler>,
    limits: &Limits,
) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_span_processor(intake)
        .with_sampler(GateSampler(Arc::clone(sampler)))
        .with_id_generator(GateIds(Arc::clone(sampler)))
        .with_span_limits(SpanLimits {
            max_events_per_span: limits.events,
            max_attributes_per_span: limits.attributes,
            max_links_per_span: limits.links,
            max_attributes_per_event: limits.event_attributes,
            max_attributes_per_link: limits.link_attributes,
        })
        // Exporters get the resource at their creation.
        .with_resource(Resource::builder_empty().build())
        .build()
}

/// The resource of exported spans.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        // `telemetry.sdk.*`: only the SDK knows its own version.
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}

/// The instrumentation scope of exported spans: `otel.scope.*`.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_names_service_sdk_and_distribution() {
        let attributes = [
            ("service.name", "mine"),
            ("telemetry.distro.version", "1.2"),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let resource = resource(&attributes);
        let of = |key: &'static str| {
            let value = resource.get(&key.into()).map(|value| value.to_string());
            value.unwrap_or_default()
        };
        assert_eq!(of("service.name"), "mine");
        assert_eq!(of("telemetry.sdk.name"), "opentelemetry");
        assert_eq!(of("telemetry.sdk.language"), "rust");
        assert!(of("telemetry.sdk.version").starts_with("0."));
        assert_eq!(of("telemetry.distro.version"), "1.2");
    }
}
