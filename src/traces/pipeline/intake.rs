//! Receives ended spans from the SDK on the application's threads.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use opentelemetry::{Context, KeyValue, baggage::BaggageExt as _, trace::Span as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

use super::{Refused, Stream};
use crate::traces::InferenceFacts;

thread_local! {
    /// The span that ends on this thread.
    static ENDING: Cell<Option<Ending>> = const { Cell::new(None) };
}

/// The time that threads spent inside a span, and the time before its last enter that they spent outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) struct Activity {
    pub(in crate::traces) busy: Duration,
    pub(in crate::traces) idle: Duration,
}

/// The properties of a span that its OpenTelemetry data does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::traces) struct Ending {
    pub(in crate::traces) activity: Option<Activity>,
    pub(in crate::traces) facts: Option<InferenceFacts>,
}

/// An ended span.
#[derive(Debug)]
pub(super) struct EndedSpan {
    data: SpanData,
    /// Added by the exporting thread, so that the attributes do not move on the application's thread.
    ending: Ending,
}

impl Ending {
    /// Calls `end`, which ends this span.
    #[inline]
    pub(in crate::traces) fn during(self, end: impl FnOnce()) {
        ENDING.set(Some(self));
        end();
        ENDING.set(None);
    }
}

impl Activity {
    /// The attributes of tracing-opentelemetry.
    fn attributes(self) -> [KeyValue; 2] {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        [
            KeyValue::new("busy_ns", nanoseconds(self.busy)),
            KeyValue::new("idle_ns", nanoseconds(self.idle)),
        ]
    }
}

impl EndedSpan {
    /// The span with the attributes of its end, as far as its limit of attributes allows.
    pub(super) fn into_data(self, max_attributes: usize) -> SpanData {
        let Self { mut data, ending } = self;
        let known = data.attributes.len();
        let activity = ending.activity.into_iter();
        data.attributes
            .extend(activity.flat_map(Activity::attributes));
        if let Some(facts) = ending.facts {
            facts.add_to(&mut data.attributes);
        }
        let max = max_attributes.max(known);
        data.dropped_attributes_count += data.attributes.len().saturating_sub(max) as u32;
        data.attributes.truncate(max);
        data
    }
}

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
            self.stream.accept(span, ENDING.take().unwrap_or_default());
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
    pub(in crate::traces) fn accept(&self, data: SpanData, ending: Ending) {
        self.accepted.fetch_add(1, Ordering::AcqRel);
        if let Err(refused) = self.queue.put(EndedSpan { data, ending }) {
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
