//! The uninhabited counterpart of `with_traces`, for builds without the feature `otlp`: the compiler removes its calls.

use std::{convert::Infallible, marker::PhantomData};

use tracing::{
    Event,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::{SpanLookup, interpreter::Interpreter};

/// Returns false: no span is sampled.
pub(super) const fn is_active() -> bool {
    false
}

/// Traces, which no build without the feature `otlp` can construct.
pub(super) struct Traced<S> {
    never: Infallible,
    subscriber: PhantomData<fn(S)>,
}

impl<S> Traced<S> {
    pub(super) fn interpreter(&self) -> Option<&Interpreter> {
        match self.never {}
    }
}

impl<S: SpanLookup> Traced<S> {
    pub(super) fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn is_idle_at_exit(&self) -> bool {
        match self.never {}
    }

    pub(super) fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_close(&self, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }
}
