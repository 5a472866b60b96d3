//! A slot for each thread, with the spans that the thread has entered and the time of its last enter.
//!
//! A thread writes only its own slot, by relaxed stores and without a clock reading: the time is the [coarse
//! clock](coarse_clock), which the watchdog advances on each of its ticks. A span in a stream is entered for each token, so
//! an enter takes a dozen instructions and an exit four: an exit writes no time, since the watchdog sees that the number of
//! entered spans has changed, and does not check that the innermost span exits. The thread looks up its runtime and its worker
//! at its first enter of each tick.
//!
//! The slots belong to the process, and each names the Layer that wrote it last. A slot is used again after the end of its
//! thread.

use std::{
    cell::Cell,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{
        Mutex,
        atomic::{
            AtomicU8, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use tokio::runtime::{Handle, Id};

use crate::runtime::{coarse_clock, lock, own_thread};

/// Entered spans that a slot holds: as many as its counter counts, so that no index needs a check.
const FRAMES: usize = 256;
/// Max slots. A process with more threads that enter spans is watched in part.
const MAX_SLOTS: usize = 4096;

/// The spans that a thread has entered.
///
/// The alignment gives each slot cache lines of its own.
#[repr(align(128))]
struct ThreadSlot {
    /// Coarse time of the last enter; 0 in a slot without a thread.
    moved_ms: AtomicU64,
    /// Number of entered spans, modulo 256. A guard that is held across an `.await` lets a span exit on another thread, whose
    /// number falls below 0: the watchdog [resets](reset) the number when the worker is parked.
    depth: AtomicU8,
    /// Number of spans that were entered before the thread entered its runtime: their guards span `block_on`.
    outside: AtomicU8,
    /// Ids of the entered spans.
    frames: [AtomicU64; FRAMES],
    /// Number of the Layer that has written the slot.
    layer: AtomicU32,
    /// Id of the thread in the kernel; 0 if unknown.
    tid: AtomicU32,
    /// Key of the runtime that the thread is in; 0 without a runtime.
    runtime: AtomicU64,
    /// Index of the worker plus 1; 0 outside the workers.
    worker: AtomicU32,
    /// 1 if the thread polls the future of `block_on`, so far as tokio's stable functions show.
    is_in_block_on: AtomicU8,
    name: Mutex<String>,
}

/// A reading of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadReading {
    /// Position of the slot, for [`entered`] and [`name`].
    pub(crate) slot: usize,
    pub(crate) moved_ms: u64,
    /// Number of entered spans that the thread entered inside its runtime.
    pub(crate) depth: u8,
    pub(crate) tid: Option<u32>,
    /// Key of the thread's runtime, as [`runtime_key`] returns it; 0 without a runtime.
    pub(crate) runtime: u64,
    pub(crate) worker: Option<usize>,
    pub(crate) is_in_block_on: bool,
}

/// The slot of a thread that has none. Its time equals no time of the clock.
static VACANT: ThreadSlot = ThreadSlot::new(u64::MAX);
static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    all: Vec::new(),
    free: Vec::new(),
});

struct Slots {
    all: Vec<&'static ThreadSlot>,
    free: Vec<&'static ThreadSlot>,
}

thread_local! {
    /// Without a destructor, so that the access is a single load.
    static SLOT: Cell<&'static ThreadSlot> = const { Cell::new(&VACANT) };
    /// Releases the slot at the end of the thread.
    static RELEASE: ReleaseSlot = const { ReleaseSlot };
}

struct ReleaseSlot;

impl Drop for ReleaseSlot {
    fn drop(&mut self) {
        let slot = SLOT.replace(&VACANT);
        if !std::ptr::eq(slot, &raw const VACANT) {
            slot.clear();
            lock(&SLOTS).free.push(slot);
        }
    }
}

/// Writes that this thread enters a span of the Layer with this number.
#[inline]
pub(super) fn enter(layer: u32, span: u64) {
    let slot = SLOT.get();
    let now = coarse_clock::now_ms();
    if slot.moved_ms.load(Relaxed) == now {
        slot.push(span);
    } else {
        enter_first(layer, span, now);
    }
}

/// Writes that this thread exits its innermost span. A thread without a slot writes the vacant slot, which nobody reads.
#[inline]
pub(super) fn exit() {
    let depth = &SLOT.get().depth;
    depth.store(depth.load(Relaxed).wrapping_sub(1), Relaxed);
}

#[cold]
#[inline(never)]
fn enter_first(layer: u32, span: u64, now: u64) {
    if let Some(slot) = moved(layer, now) {
        slot.push(span);
    }
}

/// Returns the slot of this thread for the first enter of a tick; `None` if the thread is not watched.
fn moved(layer: u32, now: u64) -> Option<&'static ThreadSlot> {
    let mut slot = SLOT.get();
    if std::ptr::eq(slot, &raw const VACANT) {
        slot = assign()?;
    }
    slot.layer.store(layer, Relaxed);
    slot.look_up_runtime();
    slot.moved_ms.store(now, Release);
    Some(slot)
}

fn assign() -> Option<&'static ThreadSlot> {
    if own_thread::is_marked() || RELEASE.try_with(|_| ()).is_err() {
        return None;
    }
    let slot = {
        let mut slots = lock(&SLOTS);
        match slots.free.pop() {
            Some(slot) => slot,
            None if slots.all.len() < MAX_SLOTS => {
                let slot: &'static ThreadSlot = Box::leak(Box::new(ThreadSlot::new(0)));
                slots.all.push(slot);
                slot
            }
            None => return None,
        }
    };
    let thread = std::thread::current();
    let mut name = lock(&slot.name);
    name.clear();
    name.push_str(thread.name().unwrap_or("unnamed"));
    slot.tid.store(kernel_id(), Relaxed);
    SLOT.set(slot);
    Some(slot)
}

#[cfg(target_os = "linux")]
fn kernel_id() -> u32 {
    u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn kernel_id() -> u32 {
    0
}

/// Returns the key of a runtime in the slots.
pub(crate) fn runtime_key(id: Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() | 1
}

/// Calls `read` with a reading of each slot that the Layer with this number has written.
pub(super) fn for_each(layer: u32, mut read: impl FnMut(ThreadReading)) {
    for (position, slot) in lock(&SLOTS).all.iter().enumerate() {
        if slot.layer.load(Relaxed) == layer
            && let Some(reading) = slot.reading(position)
        {
            read(reading);
        }
    }
}

/// Returns the spans that a thread has entered, the outermost first.
pub(super) fn entered(slot: usize) -> Vec<u64> {
    let slot = lock(&SLOTS).all.get(slot).copied();
    slot.map_or_else(Vec::new, ThreadSlot::entered)
}

/// Sets the number of entered spans to 0, while the worker of the thread is parked. A thread that wakes meanwhile may
/// write the earlier number again; the next reset then corrects it.
pub(super) fn reset(slot: usize) {
    let slot = lock(&SLOTS).all.get(slot).copied();
    if let Some(slot) = slot {
        slot.depth.store(0, Relaxed);
        slot.outside.store(0, Relaxed);
    }
}

/// Returns the name of a thread.
pub(super) fn name(slot: usize) -> String {
    let slot = lock(&SLOTS).all.get(slot).copied();
    slot.map_or_else(String::new, |slot| lock(&slot.name).clone())
}

impl ThreadSlot {
    const fn new(moved_ms: u64) -> Self {
        Self {
            moved_ms: AtomicU64::new(moved_ms),
            depth: AtomicU8::new(0),
            outside: AtomicU8::new(0),
            frames: [const { AtomicU64::new(0) }; FRAMES],
            layer: AtomicU32::new(0),
            tid: AtomicU32::new(0),
            runtime: AtomicU64::new(0),
            worker: AtomicU32::new(0),
            is_in_block_on: AtomicU8::new(0),
            name: Mutex::new(String::new()),
        }
    }

    fn clear(&self) {
        self.moved_ms.store(0, Relaxed);
        self.layer.store(0, Relaxed);
        self.depth.store(0, Relaxed);
        self.outside.store(0, Relaxed);
        self.runtime.store(0, Relaxed);
        self.worker.store(0, Relaxed);
        self.is_in_block_on.store(0, Relaxed);
    }

    #[inline]
    fn push(&self, span: u64) {
        let depth = self.depth.load(Relaxed);
        self.frames[usize::from(depth)].store(span, Relaxed);
        self.depth.store(depth.wrapping_add(1), Relaxed);
    }

    /// Returns the number of entered spans; 0 below 0.
    fn depth(&self) -> u8 {
        let depth = self.depth.load(Relaxed);
        if depth > u8::MAX / 2 { 0 } else { depth }
    }

    fn look_up_runtime(&self) {
        let runtime = Handle::try_current().map_or(0, |handle| runtime_key(handle.id()));
        let worker = match runtime {
            0 => None,
            _ => tokio::runtime::worker_index(),
        };
        let depth = self.depth();
        let is_other = self.runtime.swap(runtime, Relaxed) != runtime;
        if is_other || depth < self.outside.load(Relaxed) {
            self.outside.store(depth, Relaxed);
        }
        let number = worker.map_or(0, |index| index as u32 + 1);
        self.worker.store(number, Relaxed);
        // A thread of the blocking pool runs a task, and may block.
        let is_in_block_on = runtime != 0 && worker.is_none() && tokio::task::try_id().is_none();
        self.is_in_block_on.store(is_in_block_on.into(), Relaxed);
    }

    fn reading(&self, slot: usize) -> Option<ThreadReading> {
        let moved_ms = self.moved_ms.load(Acquire);
        (moved_ms != 0).then(|| ThreadReading {
            slot,
            moved_ms,
            depth: self.depth().saturating_sub(self.outside.load(Relaxed)),
            tid: Some(self.tid.load(Relaxed)).filter(|tid| *tid != 0),
            runtime: self.runtime.load(Relaxed),
            worker: self
                .worker
                .load(Relaxed)
                .checked_sub(1)
                .map(|index| index as usize),
            is_in_block_on: self.is_in_block_on.load(Relaxed) != 0,
        })
    }

    fn entered(&self) -> Vec<u64> {
        let entered = &self.frames[..usize::from(self.depth())];
        entered.iter().map(|span| span.load(Relaxed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_the_entered_spans_and_is_outside_of_spans_after_an_exit_too_many() {
        let slot = ThreadSlot::new(0);
        let exit = || {
            let depth = slot.depth.load(Relaxed).wrapping_sub(1);
            slot.depth.store(depth, Relaxed);
        };
        for span in [1, 2, 3] {
            slot.push(span);
        }
        assert_eq!(slot.entered(), [1, 2, 3]);
        exit();
        assert_eq!(slot.entered(), [1, 2]);
        (0..3).for_each(|_| exit());
        assert_eq!(slot.entered(), [0; 0]);
    }

    #[test]
    fn a_thread_releases_its_slot_and_names_its_worker() {
        const LAYER: u32 = u32::MAX - 7;
        let read = || {
            let mut all = Vec::new();
            for_each(LAYER, |reading| all.push(reading));
            all
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let key = runtime_key(runtime.handle().id());
        std::thread::spawn(move || {
            runtime.block_on(async { enter(LAYER, 11) });
            let [reading] = read()[..] else {
                panic!("one slot")
            };
            assert_eq!((reading.worker, reading.runtime), (Some(0), key));
            assert_eq!((reading.depth, reading.is_in_block_on), (1, false));
            assert_eq!(entered(reading.slot), [11]);
            reset(reading.slot);
            assert_eq!(entered(reading.slot), [0; 0]);
        })
        .join()
        .unwrap();
        assert_eq!(read(), []);
    }
}
