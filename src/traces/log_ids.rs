//! Looks up the ids in log lines: those of the current span, sampled or not.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use tracing::span::Id;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    gate::{self, SpanTable},
    sampling::HeadSampler,
};
use crate::log::{Ids, SpanIds};

/// Looks up the ids of sampled spans, and the id of an unsampled trace that headers carry, too.
#[derive(Clone)]
pub(super) struct LogIds {
    pub(super) spans: Arc<SpanTable>,
    pub(super) sampler: Arc<HeadSampler>,
}

impl Ids for LogIds {
    fn known(&self, span: &Id) -> Option<SpanIds> {
        gate::sampled_ids_of(span, &self.spans).as_ref().map(ids)
    }

    fn of<'l, R: LookupSpan<'l>>(&self, span: &SpanRef<'l, R>) -> Option<SpanIds> {
        gate::ids_of(span, &self.spans, &self.sampler)
            .as_ref()
            .map(ids)
    }
}

fn ids(context: &SpanContext) -> SpanIds {
    SpanIds {
        trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        is_sampled: context.is_sampled(),
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span};
    use tracing_subscriber::{Layer as _, Registry, filter::LevelFilter};

    use crate::{
        Mapping, RegistryOptions,
        log::LogFormat,
        log::tests::{redaction, work, written},
        runtime::clock::Clock,
        traces::{Traces, TracesConfig, TracesParts},
    };

    /// The log lines of `work` in a format, at a sampling ratio.
    fn logged(format: LogFormat, level: LevelFilter, ratio: f64, work: impl FnOnce()) -> String {
        let mut options = TracesConfig::default();
        options.sampling.ratio = ratio;
        let registry = crate::Registry::new(RegistryOptions::default()).unwrap();
        let traces = Traces::new(&TracesParts {
            options: &options,
            mapping: &Mapping::default(),
            gen_ai: None,
            registry: &registry,
            redaction: &redaction(),
            resource: &[],
        })
        .unwrap();
        let layer = crate::ObservatoryLayer::<Registry>::new(crate::FnSink::new(|_| ()))
            .with_gate(traces.gate(Clock::system()));
        written(
            layer,
            |writer| {
                let ids = traces.ids.clone();
                crate::log::layer_to(writer, &redaction(), ids, (format, false)).with_filter(level)
            },
            work,
        )
    }

    #[test]
    fn every_line_inside_a_span_names_one_trace_sampled_or_not() {
        for ratio in [0.0, 1.0] {
            let text = logged(LogFormat::Pretty, LevelFilter::INFO, ratio, work);
            let ids: Vec<_> = text
                .lines()
                .map(|line| line.split_once("trace_id=").map(|(_, ids)| ids))
                .collect();
            assert!(
                ids[0].is_none() && ids[1].is_some() && ids[1] == ids[2],
                "{text}"
            );
            assert!(text.contains("step{prompt=[withheld] number=7}"), "{text}");
        }
    }

    #[test]
    fn json_lines_name_the_trace() {
        for ratio in [0.0, 1.0] {
            let text = logged(LogFormat::Json, LevelFilter::INFO, ratio, work);
            let lines: Vec<serde_json::Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert!(lines[0].get("trace_id").is_none());
            let inside = &lines[1];
            assert_eq!(inside["trace_id"].as_str().unwrap().len(), 32);
            assert_eq!(inside["span_id"].as_str().unwrap().len(), 16);
            assert_eq!(inside["trace_id"], lines[2]["trace_id"]);
            assert_eq!(inside["trace_flags"], if ratio > 0.0 { "01" } else { "00" });
            assert_eq!(inside["span"]["number"], 7);
        }
    }

    #[test]
    fn a_filter_that_hides_the_span_does_not_hide_its_trace() {
        let text = logged(LogFormat::Pretty, LevelFilter::WARN, 1.0, || {
            info_span!("step").in_scope(|| {
                info!("hidden");
                tracing::warn!("short");
            });
        });
        assert!(text.contains("short trace_id="), "{text}");
    }
}
