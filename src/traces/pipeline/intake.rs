//! Receives ended spans from the SDK on the application's threads.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use opentelemetry::{Context, KeyValue, baggage::BaggageExt as _, trace::Span as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

use super::{Refused, Stream};

/// Puts ended spans into the queue of the pipeline. It never waits: if the queue is full, a span is dropped and counted.
#[derive(Debug)]
pub(in crate::traces) struct Intake {
    stream: Arc<Stream>,
    /// The names of baggage entries that every span gets as attributes.
    baggage: Vec<String>,
}

impl Intake {
    pub(in crate::traces) fn new(stream: Arc<Stream>, baggage: Vec<String>) -> Self {
        Self { stream, baggage }
    }
}

impl SpanProcessor for Intake {
    fn on_start(&self, span: &mut Span, context: &Context) {
        for key in &self.baggage {
            if let Some(value) = context.baggage().get(key) {
                span.set_attribute(KeyValue::new(key.clone(), value.clone()));
            }
        }
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.stream.accept(span);
        }
    }

    /// Does nothing: the observatory flushes, within its own deadline.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// As [`SpanProcessor::force_flush`].
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Stream {
    /// Puts an ended span into the queue. It never waits.
    pub(in crate::traces) fn accept(&self, span: SpanData) {
        self.accepted.fetch_add(1, Ordering::AcqRel);
        if let Err(refused) = self.queue.put(span) {
            self.dropped(refused);
        }
    }

    /// Counts a dropped span for every exporter.
    fn dropped(&self, refused: Refused) {
        for account in &self.accounts {
            account.dropped(refused.into(), 1);
        }
    }
}
