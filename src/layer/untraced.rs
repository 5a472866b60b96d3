//! What stands for traces in a build without them: nothing, which the compiler sees, too.

use std::{convert::Infallible, marker::PhantomData};

use tracing::{
    Event,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::Seen;

/// There is none.
pub(super) struct Traced<S> {
    never: Infallible,
    subscriber: PhantomData<fn(S)>,
}

impl<S: Seen> Traced<S> {
    pub(super) fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }

    pub(super) fn on_close(&self, _: &Id, _: Context<'_, S>) {
        match self.never {}
    }
}
