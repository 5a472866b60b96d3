//! Interprets events: tokens of a stream, metrics, sizes, scores, alerts and errors.

use tracing::Event;
use tracing_subscriber::layer::Context;

use super::{
    SpanLookup, alert_fields,
    callsite::{CallsitePlan, EventPlan},
    event_fields::{EventName, Message, MetricsReader},
    field_reader::FieldReader,
    interpreter::Interpreter,
    open::State,
    values::Values,
};
use crate::{
    observation::{Dropped, ErrorEvent, Kind, Label, Labels, Model, Observation, TraceReference},
    runtime::own_thread,
};

impl Interpreter {
    pub(super) fn event<S>(
        &self,
        plan: &CallsitePlan,
        event_plan: &EventPlan,
        event: &Event<'_>,
        context: &Context<'_, S>,
        trace: impl FnOnce() -> Option<TraceReference>,
    ) where
        S: SpanLookup,
    {
        if own_thread::is_marked() {
            return;
        }
        if event_plan.has_metrics {
            let mut reader = MetricsReader::new(plan, &*self.sink);
            event.record(&mut reader);
            reader.record();
        }
        if event_plan.has_alert {
            alert_fields::record(plan, event, &*self.sink, trace());
        }
        if let Some(named) = event_plan
            .named
            .or_else(|| self.name_in_message(event_plan, event, context))
        {
            self.named_event(plan, event_plan, named, event, context);
        }
        if event_plan.is_error {
            self.error_event(plan, event, context);
        }
    }

    /// Returns the event name that the message holds. Printing a message may be expensive, so this method prints only the
    /// messages of events inside an inference, and of events with the number of a named event.
    fn name_in_message<S>(
        &self,
        event_plan: &EventPlan,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> Option<EventName>
    where
        S: SpanLookup,
    {
        let is_likely = event_plan.may_be_named
            && (event_plan.has_amount || self.in_inference(event, context, |_| ()).is_some());
        if !is_likely {
            return None;
        }
        let mut message = Message::default();
        event.record(&mut message);
        message.named()
    }

    fn named_event<S>(
        &self,
        plan: &CallsitePlan,
        event_plan: &EventPlan,
        named: EventName,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) where
        S: SpanLookup,
    {
        let now = self.clock.raw();
        let (labels, amount) = self.read(plan, event);
        // An invalid number was counted as dropped; the event is ignored.
        if event_plan.has_amount && amount.is_none() {
            return;
        }
        let value = |label| labels.value(label);
        let model = Model::new(
            value(Label::ModelId),
            value(Label::ModelType),
            value(Label::Engine),
        );
        match (named, amount) {
            (EventName::FirstToken, _) => {
                self.in_inference(event, context, |state| state.first_token(now));
            }
            (EventName::Token | EventName::CacheSize, Some(negative)) if negative < 0.0 => {
                self.sink.dropped(Dropped::Negative, "count");
            }
            (EventName::Token, count) if count != Some(0.0) => {
                self.in_inference(event, context, |state| {
                    self.tokens(state, now, count.map_or(1, |count| count as u64));
                });
            }
            (EventName::CacheSize, Some(bytes)) => {
                let cache_type = value(Label::CacheType);
                self.sink.record(&Observation::CacheSize {
                    cache_type,
                    bytes: bytes as u64,
                });
            }
            (EventName::ModelQuality, Some(score)) => self
                .sink
                .record(&Observation::ModelQuality { model, score }),
            (EventName::ResponseSimilarity, Some(similarity)) => {
                let comparison_model = value(Label::ComparisonModel);
                self.sink.record(&Observation::ResponseSimilarity {
                    model,
                    comparison_model,
                    similarity,
                });
            }
            // These events need their number; a `token` event with count 0 is a chunk without content.
            (EventName::Token, _)
            | (
                EventName::CacheSize | EventName::ModelQuality | EventName::ResponseSimilarity,
                None,
            ) => {}
        }
    }

    fn tokens(&self, state: &State, now: u64, count: u64) {
        if let Some(before) = state.tokens(now, count) {
            self.sink
                .chunk(state.handle(), self.clock.between(before, now));
        }
    }

    /// Returns the labels and the number of an event.
    fn read(&self, plan: &CallsitePlan, event: &Event<'_>) -> (Labels, Option<f64>) {
        let mut reader = FieldReader::new(plan, self, Kind::Inference, Values::new());
        event.record(&mut reader);
        let (labels, values) = reader.into_parts();
        (labels, values.amount)
    }

    /// Calls `with` with the innermost inference around an event.
    fn in_inference<S, R>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        with: impl Fn(&State) -> R,
    ) -> Option<R>
    where
        S: SpanLookup,
    {
        context
            .event_scope(event)?
            .find_map(|span| self.with_inference(span.id().into_u64(), &with))
    }

    /// Records an ERROR event: the failure of the innermost interpreted span, or an error outside such spans.
    #[cold]
    fn error_event<S>(&self, plan: &CallsitePlan, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: SpanLookup,
    {
        let (labels, _) = self.read(plan, event);
        for span in context.event_scope(event).into_iter().flatten() {
            let id = span.id().into_u64();
            if self
                .with_inference(id, |state| self.fail(state, &labels))
                .is_some()
                || self
                    .overflow
                    .operation(id, |operation| operation.fail(&labels))
                    .is_some()
            {
                return;
            }
        }
        let component = labels
            .get(Label::Component)
            .unwrap_or(event.metadata().target());
        self.sink.record(
            &ErrorEvent {
                error_type: labels.value(Label::ErrorType),
                component,
            }
            .into(),
        );
    }

    fn fail(&self, state: &State, labels: &Labels) {
        state.fail();
        let named = [Label::ErrorType, Label::Component]
            .into_iter()
            .filter_map(|label| Some((label, labels.get(label)?)));
        let later: Labels = named.collect();
        if !later.is_empty() {
            self.record_failure(state, &later);
        }
    }
}
