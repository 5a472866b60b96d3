//! Records the end of a sampled span where tracing-opentelemetry cannot know it: a panic, and an early end.

use std::fmt;

use opentelemetry::{
    Context as OtelContext, KeyValue,
    trace::{Status, TraceContextExt as _},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Id, Record},
};
use tracing_subscriber::registry::LookupSpan;

use super::Gate;
use crate::traces::{InferenceFacts, pipeline::Ending};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Marks a span as failed because a panic unwinds through it, whatever status the span has.
    #[cold]
    pub(super) fn record_panic(&self, id: &Id) {
        if self.spans.is_sampled(id.into_u64())
            && let Some(context) = self.started(id)
        {
            set_panicked(&context);
        }
    }

    /// Ends a span while it is still open: the work that it measures is done.
    #[cold]
    pub(super) fn end_early(&self, id: &Id, facts: Option<InferenceFacts>) {
        if self.spans.is_sampled(id.into_u64())
            && let Some(context) = self.started(id)
        {
            // A panic may drop the owner of the span. After the end, nothing can be added.
            if std::thread::panicking() {
                set_panicked(&context);
            }
            let ending = Ending {
                activity: None,
                facts,
            };
            ending.during(|| context.span().end());
        }
    }
}

fn set_panicked(context: &OtelContext) {
    let span = context.span();
    span.set_attribute(KeyValue::new("error.type", "panic"));
    span.set_status(Status::error("panic"));
}

/// Returns `true` if the values include `observatory.ended = true`.
pub(super) fn is_end(values: &Record<'_>) -> bool {
    struct Ended(bool);
    impl Visit for Ended {
        fn record_bool(&mut self, field: &Field, value: bool) {
            self.0 |= value && field.name() == "observatory.ended";
        }

        fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
    }
    let mut ended = Ended(false);
    values.record(&mut ended);
    ended.0
}
