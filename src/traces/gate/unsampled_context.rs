//! Makes contexts current on a thread that OpenTelemetry's layer does not know: of unsampled spans, in place of a sampled
//! span around them, and of spans that the gate records itself.

use std::cell::{Cell, RefCell};

use opentelemetry::{Context, ContextGuard};

use super::span_table::{allow_idle, keep_active};

thread_local! {
    /// The length of `GUARDS`, read without a borrow at every exit.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Spans that are entered on this thread, from the first that was attached.
    static GUARDS: RefCell<Vec<(u64, Option<ContextGuard>)>> = const { RefCell::new(Vec::new()) };
}

/// Returns `true` if a span is noted on this thread.
#[inline]
pub(super) fn is_any() -> bool {
    COUNT.get() > 0
}

/// Makes the context of a span current, until [`exit`].
pub(super) fn attach(id: u64, context: Context) {
    push(id, Some(context.attach()));
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
    keep_active();
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
        allow_idle();
    }
}
