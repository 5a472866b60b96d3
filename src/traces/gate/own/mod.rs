//! Records the spans of sampled traces without OpenTelemetry's layer, for the live view.
//!
//! Without an exporter, only the live view reads spans. OpenTelemetry's layer would allocate 20 times for each span, and
//! take a lock and two clock readings at each enter and exit, which is each poll of a future. So the gate records the
//! spans itself, in a sharded map by span id. No code of the application runs while a shard is locked.
//!
//! Other code sees such a span in two ways. The current OpenTelemetry context holds the trace: the outermost span on a
//! thread makes its context current, and a span inside it does not, unless it was created in another context. A query by
//! `OpenTelemetrySpanExt` finds nothing, and marks the callsite of the first span of the trace: later traces of that
//! callsite go through OpenTelemetry's layer, as does the first trace of each callsite ([`Callsites`]).
//!
//! [`Callsites`]: super::deferred_decision::Callsites

mod callbacks;
mod fields;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use foldhash::fast::RandomState;
use opentelemetry::{
    Context as OtelContext, InstrumentationScope, KeyValue, SpanId,
    baggage::BaggageExt as _,
    trace::{Event, SpanContext, SpanKind, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

pub(super) use self::callbacks::span_of;
use self::fields::Fields;
use crate::runtime::lock;
use crate::traces::{
    InferenceFacts, SpanLimits,
    pipeline::{Ending, Stream},
};

const SHARDS: usize = 16;

/// Open spans that the gate records itself.
pub(in crate::traces) struct OwnSpans {
    shards: [Mutex<HashMap<u64, Box<OwnSpan>, RandomState>>; SHARDS],
    stream: Arc<Stream>,
    limits: SpanLimits,
    /// The names of baggage entries that every span gets as attributes.
    baggage: Vec<String>,
}

/// An open span.
struct OwnSpan {
    data: SpanData,
    /// A reading of the clock.
    start: u64,
    /// The context of the creation, whose entries the context of the span keeps.
    under: OtelContext,
    /// The context of the span, built when a thread needs it.
    own: Option<OtelContext>,
}

/// A context value: the context belongs to this span, which the gate records itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnContext(SpanId);

/// Returns true if a context belongs to a span that the gate records itself.
pub(super) fn is_own(context: &OtelContext) -> bool {
    let own = context.get::<OwnContext>();
    own.is_some_and(|own| own.0 == context.span().span_context().span_id())
}

/// The properties of a new span.
struct NewSpan {
    name: &'static str,
    context: SpanContext,
    parent: Option<SpanContext>,
    start: u64,
    start_time: SystemTime,
    under: OtelContext,
    fields: Fields,
}

impl OwnSpans {
    pub(in crate::traces) fn new(
        stream: Arc<Stream>,
        limits: SpanLimits,
        baggage: Vec<String>,
    ) -> Self {
        Self {
            shards: Default::default(),
            stream,
            limits,
            baggage,
        }
    }

    fn open(&self, id: u64, new: NewSpan) {
        let parent = new.parent.as_ref();
        let mut span = Box::new(OwnSpan {
            data: SpanData {
                span_context: new.context,
                parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
                parent_span_is_remote: parent.is_some_and(SpanContext::is_remote),
                span_kind: SpanKind::Internal,
                name: new.name.into(),
                start_time: new.start_time,
                end_time: new.start_time,
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: Status::Unset,
                instrumentation_scope: InstrumentationScope::default(),
            },
            start: new.start,
            under: new.under,
            own: None,
        });
        span.add(new.fields, &self.limits);
        for key in &self.baggage {
            if let Some(value) = span.under.baggage().get(key) {
                let attribute = KeyValue::new(key.clone(), value.clone());
                span.set(attribute, &self.limits);
            }
        }
        self.shard(id).insert(id, span);
    }

    /// Replaces the ids of an open span.
    fn adopt(&self, id: u64, context: SpanContext) {
        self.with(id, |span| span.data.span_context = context);
    }

    fn add_fields(&self, id: u64, fields: Fields) {
        self.with(id, |span| span.add(fields, &self.limits));
    }

    pub(super) fn set_attribute(&self, id: u64, attribute: KeyValue) {
        self.with(id, |span| span.set(attribute, &self.limits));
    }

    fn set_panicked(&self, id: u64) {
        self.with(id, |span| {
            span.set(KeyValue::new("error.type", "panic"), &self.limits);
            span.set_status(Status::error("panic"));
        });
    }

    /// Adds an event, whose time is `after` the start of the span.
    fn add_event(
        &self,
        id: u64,
        mut event: Event,
        status: Option<Status>,
        after: impl FnOnce(u64) -> Duration,
    ) {
        let max = self.limits.event_attributes as usize;
        event.dropped_attributes_count = event.attributes.len().saturating_sub(max) as u32;
        event.attributes.truncate(max);
        self.with(id, |span| {
            if let Some(status) = status {
                span.set_status(status);
            }
            let events = &mut span.data.events;
            if events.events.len() < self.limits.events as usize {
                event.timestamp = span.data.start_time + after(span.start);
                events.events.push(event);
            } else {
                events.dropped_count += 1;
            }
        });
    }

    /// Ends a span, `after` its start, and passes it on.
    fn end(&self, id: u64, facts: Option<InferenceFacts>, after: impl FnOnce(u64) -> Duration) {
        // Taken out in a statement of its own: the shard is not locked any more.
        let span = self.shard(id).remove(&id);
        if let Some(span) = span {
            let OwnSpan {
                mut data, start, ..
            } = *span;
            data.end_time = data.start_time + after(start);
            let ending = Ending {
                activity: None,
                facts,
            };
            self.stream.accept(data, ending);
        }
    }

    /// The ids of an open span.
    pub(super) fn span_context(&self, id: u64) -> Option<SpanContext> {
        self.with(id, |span| span.data.span_context.clone())
    }

    /// The context of an open span.
    pub(super) fn context(&self, id: u64) -> Option<OtelContext> {
        self.with(id, |span| {
            let OwnSpan {
                data, under, own, ..
            } = span;
            let make = || {
                let context = data.span_context.clone();
                let marker = OwnContext(context.span_id());
                under.with_value(marker).with_remote_span_context(context)
            };
            own.get_or_insert_with(make).clone()
        })
    }

    fn with<R>(&self, id: u64, with: impl FnOnce(&mut OwnSpan) -> R) -> Option<R> {
        self.shard(id).get_mut(&id).map(|span| with(span))
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Box<OwnSpan>, RandomState>> {
        // The registry assigns ascending ids, so neighbours differ in the low bits.
        let shard = &self.shards[(id as usize) % SHARDS];
        lock(shard)
    }
}

impl OwnSpan {
    fn add(&mut self, fields: Fields, limits: &SpanLimits) {
        if let Some(name) = fields.name {
            self.data.name = name.into();
        }
        if let Some(kind) = fields.kind {
            self.data.span_kind = kind;
        }
        if let Some(status) = fields.status {
            self.set_status(status);
        }
        if self.data.attributes.is_empty() && fields.attributes.len() <= limits.attributes as usize
        {
            self.data.attributes = fields.attributes;
            return;
        }
        for attribute in fields.attributes {
            self.set(attribute, limits);
        }
    }

    fn set(&mut self, attribute: KeyValue, limits: &SpanLimits) {
        let attributes = &mut self.data.attributes;
        if let Some(known) = attributes.iter_mut().find(|own| own.key == attribute.key) {
            known.value = attribute.value;
        } else if attributes.len() < limits.attributes as usize {
            attributes.push(attribute);
        } else {
            self.data.dropped_attributes_count += 1;
        }
    }

    /// Sets the status, if it takes precedence: `Ok`, then an error, then `Unset`, as in the SDK.
    fn set_status(&mut self, status: Status) {
        if status > self.data.status {
            self.data.status = status;
        }
    }
}
