//! Makes the contexts of unsampled spans current on a thread, in place of a sampled span around them.

use std::cell::{Cell, RefCell};

use opentelemetry::{Context, ContextGuard, trace::SpanContext, trace::TraceContextExt as _};

thread_local! {
    /// The length of `GUARDS`, read without a borrow at every exit.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Unsampled spans that are entered on this thread, from the first that was attached.
    static GUARDS: RefCell<Vec<(u64, Option<ContextGuard>)>> = const { RefCell::new(Vec::new()) };
}

/// Makes the context of an unsampled span current, until [`exit`].
pub(super) fn attach(id: u64, context: SpanContext) {
    let guard = Context::current()
        .with_remote_span_context(context)
        .attach();
    push(id, Some(guard));
}

/// Notes an enter without a context of its own, so that the matching [`exit`] does not end an earlier [`attach`].
#[inline]
pub(super) fn enter(id: u64) {
    if COUNT.get() > 0 {
        push(id, None);
    }
}

#[cold]
fn push(id: u64, guard: Option<ContextGuard>) {
    GUARDS.with_borrow_mut(|guards| guards.push((id, guard)));
    COUNT.set(COUNT.get() + 1);
}

/// Ends the last [`attach`] or [`enter`] of this span.
#[inline]
pub(super) fn exit(id: u64) {
    if COUNT.get() > 0 {
        pop(id);
    }
}

#[cold]
fn pop(id: u64) {
    // Dropped after the borrow: an observer of contexts may call back.
    let guard = GUARDS.with_borrow_mut(|guards| {
        let place = guards.iter().rposition(|(other, _)| *other == id)?;
        Some(guards.remove(place))
    });
    if guard.is_some() {
        COUNT.set(COUNT.get() - 1);
    }
}
