//! The SDK's provider, with the gate's sampler, limits, and resource.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, SpanLimits},
};

use super::{
    gate::{GateIds, GateSampler},
    pipeline::Intake,
    sampling::HeadSampler,
};
use crate::config::SpanLimits as Limits;

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
        // Exporters are given the resource themselves.
        .with_resource(Resource::builder_empty().build())
        .build()
}

/// Who sends, and by what.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let sdk = [
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "rust"),
    ];
    let attributes = attributes
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes(sdk.map(|(key, value)| KeyValue::new(key, value)))
        .with_attributes(attributes)
        .build()
}
