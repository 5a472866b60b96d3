//! What was drawn for a first span that waits for its parent to be set.
//!
//! It must outlive whatever parent is set: foreign code sets one for every request, an empty one where no header said
//! anything. So the span itself carries it, as an attribute that only the sampler reads and that does not leave.

use std::cell::Cell;

use opentelemetry::KeyValue;
use tracing::{
    Level, Metadata, Value,
    callsite::{DefaultCallsite, Identifier},
    field::FieldSet,
    metadata::Kind,
    span::Record,
};

/// The attribute of a span whose trace is not kept if it begins here.
pub(in crate::traces) const NOT_KEPT: &str = "observatory.not_kept";

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&META);
static META: Metadata<'static> = Metadata::new(
    "verdict",
    "llm_observatory",
    Level::INFO,
    None,
    None,
    None,
    FieldSet::new(&[NOT_KEPT], Identifier(&CALLSITE)),
    Kind::SPAN,
);

/// Has `record` write the attribute.
pub(super) fn write_not_kept(record: impl FnOnce(&Record<'_>)) {
    let fields = META.fields();
    if let Some(field) = fields.iter().next() {
        let is_so: &dyn Value = &true;
        let values = [(&field, Some(is_so))];
        record(&Record::new(&fields.value_set(&values)));
    }
}

thread_local! {
    /// Whether the trace that begins on this thread next is not kept.
    static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Whether a trace has begun on this thread since somebody looked.
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// A trace begins on this thread; whether it was refused.
pub(super) fn begin() -> bool {
    HAS_BEGUN.set(true);
    IS_REFUSED.take()
}

/// Runs `starts`, which starts a span that was drawn: `is_refused` where it is not kept, so that the id of a trace that
/// begins with it does not look kept. Returns whether one has begun, too.
pub(super) fn begins<R>(is_refused: bool, starts: impl FnOnce() -> R) -> (R, bool) {
    IS_REFUSED.set(is_refused);
    HAS_BEGUN.set(false);
    let started = starts();
    IS_REFUSED.set(false);
    (started, HAS_BEGUN.take())
}

/// Whether a span of these attributes is kept if its trace begins here.
pub(super) fn is_kept(attributes: &[KeyValue]) -> bool {
    let mut keys = attributes.iter().map(|pair| pair.key.as_str());
    !keys.any(|key| key == NOT_KEPT)
}
