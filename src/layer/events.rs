//! What is done with events: tokens of a stream, metrics, sizes and scores, errors.

use tracing::{Event, Subscriber};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use super::{
    alert_fields,
    callsite::{EventPlan, Plan},
    event_fields::{Message, MetricsReader, Named},
    kind::Kind,
    open::State,
    values::Values,
    visit::Reader,
    watch::Watch,
};
use crate::{
    observation::{Dropped, ErrorEvent, Label, Labels, Model, Observation, TraceReference},
    runtime::own_thread,
};

impl Watch {
    pub(super) fn event<S>(
        &self,
        plan: &Plan,
        event_plan: &EventPlan,
        event: &Event<'_>,
        context: &Context<'_, S>,
        trace: impl FnOnce() -> Option<TraceReference>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
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
            .or_else(|| self.named_by_message(event_plan, event, context))
        {
            self.named_event(plan, event_plan, named, event, context);
        }
        if event_plan.is_error {
            self.error_event(plan, event, context);
        }
    }

    /// The name that a message is. Printing it may cost the application something, so it is only done where it
    /// can be one: inside an inference, or with a number that belongs to such an event.
    fn named_by_message<S>(
        &self,
        event_plan: &EventPlan,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> Option<Named>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
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
        plan: &Plan,
        event_plan: &EventPlan,
        named: Named,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let now = self.clock.raw();
        let (labels, amount) = self.read(plan, event);
        // One that was given and cannot be used is counted as dropped already: then the event says nothing.
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
            (Named::FirstToken, _) => {
                self.in_inference(event, context, |state| state.first_token(now));
            }
            (Named::Token | Named::CacheSize, Some(negative)) if negative < 0.0 => {
                self.sink.dropped(Dropped::Negative, "count");
            }
            (Named::Token, count) if count != Some(0.0) => {
                self.in_inference(event, context, |state| {
                    self.tokens(state, now, count.map_or(1, |count| count as u64));
                });
            }
            (Named::CacheSize, Some(bytes)) => {
                let cache_type = value(Label::CacheType);
                self.sink.record(&Observation::CacheSize {
                    cache_type,
                    bytes: bytes as u64,
                });
            }
            (Named::ModelQuality, Some(score)) => self
                .sink
                .record(&Observation::ModelQuality { model, score }),
            (Named::ResponseSimilarity, Some(similarity)) => {
                let comparison_model = value(Label::ComparisonModel);
                self.sink.record(&Observation::ResponseSimilarity {
                    model,
                    comparison_model,
                    similarity,
                });
            }
            // These need their number; and a role or framing chunk has no content token.
            (Named::Token, _)
            | (Named::CacheSize | Named::ModelQuality | Named::ResponseSimilarity, None) => {}
        }
    }

    fn tokens(&self, state: &State, now: u64, count: u64) {
        if let Some(before) = state.tokens(now, count) {
            self.sink
                .chunk(state.handle(), self.clock.between(before, now));
        }
    }

    /// The labels of an event, and its number.
    fn read(&self, plan: &Plan, event: &Event<'_>) -> (Labels, Option<f64>) {
        let mut reader = Reader::new(plan, self, Kind::Inference, Values::new());
        event.record(&mut reader);
        let (labels, values) = reader.into_parts();
        (labels, values.amount)
    }

    /// What `with` makes of the innermost inference around an event.
    fn in_inference<S, R>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        with: impl Fn(&State) -> R,
    ) -> Option<R>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        context
            .event_scope(event)?
            .find_map(|span| self.with_inference(span.id().into_u64(), &with))
    }

    /// An ERROR event inside a span of ours is that span's failure; one outside counts by itself.
    #[cold]
    fn error_event<S>(&self, plan: &Plan, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let (labels, _) = self.read(plan, event);
        for span in context.event_scope(event).into_iter().flatten() {
            let id = span.id().into_u64();
            if self
                .with_inference(id, |state| self.fail(state, &labels))
                .is_some()
                || self
                    .elsewhere
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
        if let Some(error_type) = labels.get(Label::ErrorType) {
            let later: Labels = [(Label::ErrorType, error_type)].into_iter().collect();
            self.note_failure(state, &later);
        }
    }
}
