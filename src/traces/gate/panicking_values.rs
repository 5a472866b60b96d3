//! Forwards field values to tracing-opentelemetry's layer, whose printing may panic.
//!
//! A panic in the `Debug` of the application must not reach the request. That layer prints the values of a new span
//! while it holds the extensions of the span: a panic would poison their lock, and every later callback of the span
//! would panic, too. So a span with `Debug` values is created without values, and the values are recorded afterwards,
//! which the layer does without a lock. After a panic, the gate prints all values itself, each on its own, and withholds
//! values that panic.
//!
//! Limits: the panic hook runs before; with `panic = "abort"`, the panic ends the process.

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
    pub(super) fn forward_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let mut has_debug = HasDebugValue(false);
        attributes.record(&mut has_debug);
        if !has_debug.0 {
            return self.inner.on_new_span(attributes, id, context.clone());
        }
        let metadata = attributes.metadata();
        let empty = metadata.fields().value_set(&[]);
        let bare = match attributes.parent() {
            Some(parent) => Attributes::child_of(parent.clone(), metadata, &empty),
            None if attributes.is_root() => Attributes::new_root(metadata, &empty),
            None => Attributes::new(metadata, &empty),
        };
        self.inner.on_new_span(&bare, id, context.clone());
        self.forward_record(id, &Record::new(attributes.values()), context);
    }

    pub(super) fn forward_record(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        let forwarded = catch_unwind(AssertUnwindSafe(|| {
            self.inner.on_record(id, values, context.clone());
        }));
        if forwarded.is_err()
            && let Some(metadata) = context.metadata(id)
        {
            let record = |visit: &mut PrintedValues<'_>| values.record(visit);
            self.with_printed(metadata.fields(), record, |printed| {
                self.inner
                    .on_record(id, &Record::new(printed), context.clone());
            });
        }
    }

    pub(super) fn forward_event(&self, event: &Event<'_>, context: &Context<'_, S>) {
        let forwarded = catch_unwind(AssertUnwindSafe(|| {
            self.inner.on_event(event, context.clone());
        }));
        if forwarded.is_err() {
            let metadata = event.metadata();
            let record = |visit: &mut PrintedValues<'_>| event.record(visit);
            self.with_printed(metadata.fields(), record, |printed| {
                let event = match event.parent() {
                    Some(parent) => Event::new_child_of(parent.clone(), metadata, printed),
                    None => Event::new(metadata, printed),
                };
                self.inner.on_event(&event, context.clone());
            });
        }
    }

    #[cold]
    fn with_printed(
        &self,
        fields: &FieldSet,
        record: impl FnOnce(&mut PrintedValues<'_>),
        forward: impl FnOnce(&ValueSet<'_>),
    ) {
        let mut printed = PrintedValues {
            values: fields.iter().map(|_| None).collect(),
            on_panic: &*self.on_panicking_field,
        };
        record(&mut printed);
        let values: Vec<_> = printed.values.iter().map(Option::as_deref).collect();
        forward(&fields.value_set_all(&values));
    }
}

/// A visitor that finds a value which code of the application prints.
struct HasDebugValue(bool);

impl Visit for HasDebugValue {
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

/// Values by the index of their field; `Debug` values as text.
struct PrintedValues<'g> {
    values: Vec<Option<Box<dyn Value>>>,
    on_panic: &'g dyn Fn(&str),
}

impl PrintedValues<'_> {
    fn set(&mut self, field: &Field, value: impl Value + 'static) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(Box::new(value));
        }
    }
}

/// Methods that keep values of these types.
macro_rules! keep {
    ($($method:ident: $value:ty,)*) => {
        $(fn $method(&mut self, field: &Field, value: $value) {
            self.set(field, value);
        })*
    };
}

impl Visit for PrintedValues<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = try_printed(value).unwrap_or_else(|| {
            (self.on_panic)(field.name());
            WITHHELD.to_owned()
        });
        self.set(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    keep! {
        record_f64: f64,
        record_i64: i64,
        record_u64: u64,
        record_i128: i128,
        record_u128: u128,
        record_bool: bool,
    }
}
