//! Values of the application on their way into tracing-opentelemetry's layer, which prints them.
//!
//! A `Debug` may panic, and the request must not notice. That layer prints the values of a new span while it holds the
//! span's extensions: a panic would leave their lock poisoned, and every later callback of the span would panic, too. So
//! a span with such values is made without any, and they are recorded into it afterwards, which that layer does without
//! a lock. Where one panics, all of them are printed here, one by one, and what panics is withheld.
//!
//! Known limits: the panic hook has its say before; with `panic = "abort"` there is nothing to be caught.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::{
    Event, Subscriber,
    field::{Field, FieldSet, Value, ValueSet, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer as _, layer::Context, registry::LookupSpan};

use super::Gate;
use crate::{log::try_printed, privacy::WITHHELD};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Gives the inner layer a new span.
    pub(super) fn make(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        let mut prints = Prints(false);
        attributes.record(&mut prints);
        if !prints.0 {
            return self.inner.on_new_span(attributes, id, context.clone());
        }
        let metadata = attributes.metadata();
        let none = metadata.fields().value_set(&[]);
        let bare = match attributes.parent() {
            Some(parent) => Attributes::child_of(parent.clone(), metadata, &none),
            None if attributes.is_root() => Attributes::new_root(metadata, &none),
            None => Attributes::new(metadata, &none),
        };
        self.inner.on_new_span(&bare, id, context.clone());
        self.fill(id, &Record::new(attributes.values()), context);
    }

    /// Records values into a span of the inner layer's.
    pub(super) fn fill(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        let recorded = catch_unwind(AssertUnwindSafe(|| {
            self.inner.on_record(id, values, context.clone());
        }));
        if recorded.is_err()
            && let Some(metadata) = context.metadata(id)
        {
            let fields = metadata.fields();
            let printed = self.printed(fields, |visit| values.record(visit));
            let printed: Vec<_> = printed.iter().map(Option::as_deref).collect();
            let printed = fields.value_set_all(&printed);
            self.inner
                .on_record(id, &Record::new(&printed), context.clone());
        }
    }

    /// Gives the inner layer an event.
    pub(super) fn tell(&self, event: &Event<'_>, context: &Context<'_, S>) {
        let told = catch_unwind(AssertUnwindSafe(|| {
            self.inner.on_event(event, context.clone());
        }));
        if told.is_err() {
            let metadata = event.metadata();
            let fields = metadata.fields();
            let printed = self.printed(fields, |visit| event.record(visit));
            let printed: Vec<_> = printed.iter().map(Option::as_deref).collect();
            let printed: ValueSet<'_> = fields.value_set_all(&printed);
            let event = match event.parent() {
                Some(parent) => Event::new_child_of(parent.clone(), metadata, &printed),
                None => Event::new(metadata, &printed),
            };
            self.inner.on_event(&event, context.clone());
        }
    }

    #[cold]
    fn printed(
        &self,
        fields: &FieldSet,
        record: impl FnOnce(&mut Printed<'_>),
    ) -> Vec<Option<Box<dyn Value>>> {
        let mut printed = Printed {
            values: fields.iter().map(|_| None).collect(),
            harmed: &*self.harmed,
        };
        record(&mut printed);
        printed.values
    }
}

/// Whether a value is printed by code that is not ours.
struct Prints(bool);

impl Visit for Prints {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {
        self.0 = true;
    }

    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
    fn record_str(&mut self, _: &Field, _: &str) {}
}

/// Values of which none panics any more, by the places of their fields.
struct Printed<'g> {
    values: Vec<Option<Box<dyn Value>>>,
    harmed: &'g dyn Fn(&str),
}

impl Printed<'_> {
    fn set(&mut self, field: &Field, value: impl Value + 'static) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(Box::new(value));
        }
    }
}

impl Visit for Printed<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = try_printed(value).unwrap_or_else(|| {
            (self.harmed)(field.name());
            WITHHELD.to_owned()
        });
        self.set(field, text);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }
}
