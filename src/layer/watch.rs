//! Records the entered and the open spans of a Layer, for the watchdog and for the list of tasks.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{open_tasks::OpenTasks, thread_slots};
pub(crate) use super::{
    open_tasks::TaskReading,
    thread_slots::{ThreadReading, runtime_key},
};
use crate::runtime::{coarse_clock, own_thread};

/// The entered and the open spans of a Layer.
pub(crate) struct Watch {
    /// Number of the Layer in the slots, which the Layers of a process share.
    layer: u32,
    tasks: OpenTasks,
}

impl Watch {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        Self {
            layer: LAST.fetch_add(1, Relaxed) + 1,
            tasks: OpenTasks::new(),
        }
    }

    pub(super) fn open(&self, span: u64) {
        if !own_thread::is_marked() {
            self.tasks.open(span, coarse_clock::now_ms());
        }
    }

    #[inline]
    pub(super) fn enter(&self, span: u64) {
        thread_slots::enter(self.layer, span);
    }

    #[inline]
    pub(super) fn exit(&self, span: u64) {
        self.tasks.exit(span);
        thread_slots::exit();
    }

    pub(super) fn close(&self, span: u64) {
        self.tasks.close(span);
    }

    /// Returns a reading of each thread that has entered a span of the Layer.
    pub(crate) fn threads(&self) -> Vec<ThreadReading> {
        let mut threads = Vec::new();
        thread_slots::for_each(self.layer, |reading| threads.push(reading));
        threads
    }

    /// Returns the ids of the spans that a thread has entered, the outermost first.
    pub(crate) fn entered(thread: &ThreadReading) -> Vec<u64> {
        thread_slots::entered(thread.slot)
    }

    /// Notes that a thread is outside of all spans, because its worker is parked.
    pub(crate) fn reset(thread: &ThreadReading) {
        thread_slots::reset(thread.slot);
    }

    /// Returns the name of a thread.
    pub(crate) fn thread_name(thread: &ThreadReading) -> String {
        thread_slots::name(thread.slot)
    }

    /// Dates the exits of open spans since the last call.
    pub(crate) fn date_exits(&self) {
        self.tasks.date_exits(coarse_clock::now_ms());
    }

    /// Returns the open spans, in no order, and the number of open spans that the table has no room for.
    pub(crate) fn tasks(&self) -> (Vec<TaskReading>, usize) {
        self.tasks.read(coarse_clock::now_ms())
    }
}
