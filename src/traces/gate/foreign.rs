//! Hands spans and events to tracing-opentelemetry's layer so that a foreign `Debug` that panics hurts nobody.
//!
//! That layer prints values on the application's thread, those of a new span while it holds the span's extensions. A
//! panic there would not only go through the application: the registry uses the poisoned place again, and every later
//! span that gets it would panic, too. So a span with foreign values is made without any, and they are recorded after
//! it, where nothing is held; a panic ends here, is counted, and costs the value that it came from.
//!
//! Known limits: the panic hook has its say before; with `panic = "abort"` there is nothing to be caught.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::{
    Event, Metadata, Subscriber, Value,
    field::{Field, FieldSet, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer as _, layer::Context, registry::LookupSpan};

use super::Gate;
use crate::{log::printed, observation::Dropped};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    pub(super) fn give_span(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        if !has_foreign(attributes) {
            return self.inner.on_new_span(attributes, id, context.clone());
        }
        let metadata = attributes.metadata();
        let nothing: [(&Field, Option<&dyn Value>); 0] = [];
        let nothing = metadata.fields().value_set(&nothing);
        let bare = if let Some(parent) = attributes.parent() {
            Attributes::child_of(parent.clone(), metadata, &nothing)
        } else if attributes.is_root() {
            Attributes::new_root(metadata, &nothing)
        } else {
            Attributes::new(metadata, &nothing)
        };
        self.inner.on_new_span(&bare, id, context.clone());
        self.give_values(id, &Record::new(attributes.values()), context);
    }

    pub(super) fn give_values(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        // What it was about to note of them is dropped with the panic, and it holds nothing while it prints.
        if caught(|| self.inner.on_record(id, values, context.clone())) {
            return;
        }
        if let Some(metadata) = context.metadata(id) {
            self.give_one_by_one(id, metadata, values, context);
        }
    }

    /// Gives those values again that can be printed.
    #[cold]
    fn give_one_by_one(
        &self,
        id: &Id,
        metadata: &'static Metadata<'static>,
        values: &Record<'_>,
        context: &Context<'_, S>,
    ) {
        self.count_panic(metadata.name());
        values.record(&mut OneByOne {
            fields: metadata.fields(),
            give: |one: &Record<'_>| self.inner.on_record(id, one, context.clone()),
        });
    }

    pub(super) fn give_event(&self, event: &Event<'_>, context: &Context<'_, S>) {
        if !caught(|| self.inner.on_event(event, context.clone())) {
            self.give_message(event, context);
        }
    }

    /// Gives an event again, without its fields: its level alone may say that the span has failed.
    #[cold]
    fn give_message(&self, event: &Event<'_>, context: &Context<'_, S>) {
        let metadata = event.metadata();
        self.count_panic(metadata.name());
        let mut message = Message(None);
        event.record(&mut message);
        let field = metadata.fields().field("message");
        let values = field.as_ref().map(|field| {
            let text = message.0.as_ref().map(|text| text as &dyn Value);
            [(field, text)]
        });
        let nothing = [];
        let values = match &values {
            Some(values) => metadata.fields().value_set(values),
            None => metadata.fields().value_set(&nothing),
        };
        let reduced = match event.parent() {
            Some(parent) => Event::new_child_of(parent.clone(), metadata, &values),
            None => Event::new(metadata, &values),
        };
        self.inner.on_event(&reduced, context.clone());
    }

    fn count_panic(&self, name: &str) {
        if let Some(registry) = &self.registry {
            registry
                .diagnostics()
                .dropped_with(Dropped::PanickingField, name);
        }
    }
}

/// Whether it ran to its end.
fn caught(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

/// Whether there is a value that foreign code prints.
fn has_foreign(attributes: &Attributes<'_>) -> bool {
    struct Foreign(bool);
    impl Visit for Foreign {
        fn record_i64(&mut self, _: &Field, _: i64) {}
        fn record_u64(&mut self, _: &Field, _: u64) {}
        fn record_f64(&mut self, _: &Field, _: f64) {}
        fn record_bool(&mut self, _: &Field, _: bool) {}
        fn record_str(&mut self, _: &Field, _: &str) {}
        fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {
            self.0 = true;
        }
    }
    let mut foreign = Foreign(false);
    attributes.record(&mut foreign);
    foreign.0
}

/// Gives every value in a record of its own, foreign ones printed.
struct OneByOne<F> {
    fields: &'static FieldSet,
    give: F,
}

impl<F: FnMut(&Record<'_>)> OneByOne<F> {
    fn give(&mut self, field: &Field, value: &dyn Value) {
        let value = [(field, Some(value))];
        (self.give)(&Record::new(&self.fields.value_set(&value)));
    }
}

impl<F: FnMut(&Record<'_>)> Visit for OneByOne<F> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.give(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.give(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.give(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.give(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.give(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.give(field, &printed(value));
    }
}

/// The message of an event.
struct Message(Option<String>);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = Some(printed(value));
        }
    }
}
