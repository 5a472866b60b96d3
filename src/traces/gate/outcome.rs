//! How a recorded span came to its end, where tracing-opentelemetry cannot know.

use std::fmt;

use opentelemetry::{
    KeyValue,
    trace::{Status, TraceContextExt as _},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Id, Record},
};
use tracing_subscriber::registry::LookupSpan;

use super::{Gate, seen};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// A panic goes through a span: it failed, whatever it has said of itself.
    #[cold]
    pub(super) fn panicked(&self, id: &Id) {
        if !self.sampled.contains(id.into_u64()) {
            return;
        }
        let context = self.dispatch().and_then(|dispatch| seen(id, &dispatch));
        if let Some(context) = context {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", "panic"));
            span.set_status(Status::error("panic"));
        }
    }

    /// What a span watched is over, though something holds it open: it ends here and now.
    #[cold]
    pub(super) fn ended(&self, id: &Id) {
        // Its owner is dropped by the panic that is to be told: afterwards nothing more can be said of it.
        if std::thread::panicking() {
            self.panicked(id);
        }
        let context = self.dispatch().and_then(|dispatch| seen(id, &dispatch));
        if let Some(context) = context {
            context.span().end();
        }
    }
}

/// Whether `observatory.ended = true` is among the values.
pub(super) fn says_ended(values: &Record<'_>) -> bool {
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
