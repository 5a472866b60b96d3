//! Contexts of unsampled spans that are current on this thread.

use std::cell::{Cell, RefCell};

use opentelemetry::{Context, ContextGuard, trace::SpanContext, trace::TraceContextExt as _};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static GUARDS: RefCell<Vec<(u64, Option<ContextGuard>)>> = const { RefCell::new(Vec::new()) };
}

/// Makes the context of an unsampled span current, until [`detach`].
pub(super) fn attach(id: u64, context: SpanContext) {
    let guard = Context::current()
        .with_remote_span_context(context)
        .attach();
    push(id, Some(guard));
}

/// A span is entered, perhaps once more while [`attach`] holds for it: an exit belongs to this enter, too.
#[inline]
pub(super) fn enter_again(id: u64) {
    if COUNT.get() > 0 {
        note_again(id);
    }
}

#[cold]
fn note_again(id: u64) {
    if GUARDS.with_borrow(|all| all.iter().any(|(other, _)| *other == id)) {
        push(id, None);
    }
}

fn push(id: u64, guard: Option<ContextGuard>) {
    GUARDS.with_borrow_mut(|guards| guards.push((id, guard)));
    COUNT.set(COUNT.get() + 1);
}

/// Ends what [`attach`] did for this span last, if it did.
#[inline]
pub(super) fn detach(id: u64) {
    if COUNT.get() > 0 {
        detach_one(id);
    }
}

#[cold]
fn detach_one(id: u64) {
    // Dropped after the borrow: an observer of contexts may come back here.
    let guard = GUARDS.with_borrow_mut(|guards| {
        let place = guards.iter().rposition(|(other, _)| *other == id)?;
        Some(guards.remove(place))
    });
    if guard.is_some() {
        COUNT.set(COUNT.get() - 1);
    }
}
