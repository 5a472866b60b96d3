//! Reads open spans of a subscriber from a thread of the observatory: name, parent and redacted fields.

use std::sync::Arc;

use tracing::{Dispatch, Subscriber, span::Id};
use tracing_subscriber::registry::LookupSpan;

use super::ObservatoryLayer;
use crate::{log, privacy::Redaction, runtime::Registered};

/// Max fields of a span, and max characters of a field.
const MAX_FIELDS: usize = 32;
const MAX_CHARACTERS: usize = 256;

/// An open span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpanView {
    pub(crate) parent: Option<u64>,
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// Redacted fields: those that the log stores, and the labels that the Layer has interpreted.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// Reads the spans of the subscriber that a Layer is part of.
#[derive(Clone)]
pub(crate) struct SpanReader {
    subscriber: Registered,
    redaction: Arc<Redaction>,
    read: fn(&Dispatch, u64, &Redaction) -> Option<SpanView>,
}

impl SpanReader {
    /// Returns a reader of the subscriber that `layer` becomes part of.
    pub(crate) fn of<S>(layer: &ObservatoryLayer<S>, redaction: Arc<Redaction>) -> Self
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        Self {
            subscriber: layer.registered(),
            redaction,
            read: read::<S>,
        }
    }

    /// Returns an open span; `None` if the span has closed, or if the subscriber is unknown.
    pub(crate) fn span(&self, id: u64) -> Option<SpanView> {
        let dispatch = self.subscriber.get()?;
        // The span may close while it is read. Its parent then closes in the subscriber that is current on this thread.
        tracing::dispatcher::with_default(&dispatch, || (self.read)(&dispatch, id, &self.redaction))
    }
}

fn read<S>(dispatch: &Dispatch, id: u64, redaction: &Redaction) -> Option<SpanView>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let number = std::num::NonZeroU64::new(id)?;
    let span = dispatch
        .downcast_ref::<S>()?
        .span(&Id::from_non_zero_u64(number))?;
    let mut fields = log::fields_of(&span, redaction);
    let layer = dispatch.downcast_ref::<ObservatoryLayer<S>>();
    if let Some(labels) = layer.and_then(|layer| layer.labels(id)) {
        for (label, value) in labels.iter() {
            if fields.iter().all(|(name, _)| *name != label.name()) {
                let shown = redaction.shown(label.name(), value).into_owned();
                fields.push((label.name(), shown));
            }
        }
    }
    fields.truncate(MAX_FIELDS);
    for (_, value) in &mut fields {
        if let Some((end, _)) = value.char_indices().nth(MAX_CHARACTERS) {
            value.truncate(end);
            value.push('…');
        }
    }
    let metadata = span.metadata();
    Some(SpanView {
        parent: span.parent().map(|parent| parent.id().into_u64()),
        name: metadata.name(),
        target: metadata.target(),
        fields,
    })
}
