//! Walks a stack inside the signal handler, and stores it in a ring.

#![expect(unsafe_code, reason = "cells that a flag makes exclusive")]

use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use framehop::{CacheNative, MustNotAllocateDuringUnwind, UnwindRegsNative, Unwinder as _};

use super::{modules::Unwinder, stack_reader::StackReader};
use crate::{Counters, MAX_FRAMES, Sample, StartError};

/// The number of threads that can walk their stacks at the same time.
const WALKERS: usize = 8;
/// The number of places that a walk tries before it counts the ring as full.
const TRIES: usize = 16;

/// The registers of an interrupted thread.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    pub(super) instruction_pointer: u64,
    pub(super) stack_pointer: u64,
    pub(super) unwind: UnwindRegsNative,
}

/// Stores samples. The signal handler calls [`Recorder::record`], all other methods belong to the session.
pub(super) struct Recorder {
    unwinder: Unwinder,
    label: fn() -> u64,
    walkers: [Walker; WALKERS],
    ring: Box<[Place]>,
    next: AtomicUsize,
    samples: AtomicU64,
    truncated: AtomicU64,
    lost_busy: AtomicU64,
    lost_full: AtomicU64,
    handler_ns: AtomicU64,
}

/// The memory of a walk.
struct Walker {
    is_taken: AtomicBool,
    tools: UnsafeCell<Tools>,
}

struct Tools {
    cache: CacheNative<MustNotAllocateDuringUnwind>,
    stack: StackReader,
}

// SAFETY: only the thread that changed `is_taken` from false to true uses the tools, until it sets it back.
unsafe impl Sync for Walker {}

/// A place of the ring.
struct Place {
    state: AtomicU8,
    stored: UnsafeCell<Stored>,
}

/// The states of a place: only a handler moves it from free to stored, and only a drain back.
const FREE: u8 = 0;
const WRITING: u8 = 1;
const STORED: u8 = 2;

struct Stored {
    label: u64,
    thread: i32,
    is_truncated: bool,
    depth: usize,
    frames: [u64; MAX_FRAMES],
}

// SAFETY: a handler uses the content in the state WRITING, which only it can have set, and the drain uses the content
// in the state STORED, which only the drain leaves. Release and acquire order the two.
unsafe impl Sync for Place {}

impl Recorder {
    pub(super) fn new(
        unwinder: Unwinder,
        label: fn() -> u64,
        ring: usize,
    ) -> Result<Self, StartError> {
        let mut walkers = Vec::with_capacity(WALKERS);
        for _ in 0..WALKERS {
            walkers.push(Walker {
                is_taken: AtomicBool::new(false),
                tools: UnsafeCell::new(Tools {
                    cache: CacheNative::new_in(),
                    stack: StackReader::new().map_err(StartError::MemoryUnreadable)?,
                }),
            });
        }
        let Ok(walkers) = walkers.try_into() else {
            return Err(StartError::Busy);
        };
        let place = || Place {
            state: AtomicU8::new(FREE),
            stored: UnsafeCell::new(Stored {
                label: 0,
                thread: 0,
                is_truncated: false,
                depth: 0,
                frames: [0; MAX_FRAMES],
            }),
        };
        Ok(Self {
            unwinder,
            label,
            walkers,
            ring: std::iter::repeat_with(place).take(ring).collect(),
            next: AtomicUsize::new(0),
            samples: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
            lost_busy: AtomicU64::new(0),
            lost_full: AtomicU64::new(0),
            handler_ns: AtomicU64::new(0),
        })
    }

    /// Walks the stack of the current thread and stores it. Called in the signal handler.
    pub(super) fn record(&self, registers: Registers, thread: i32) {
        let start = thread_cpu_ns();
        self.walk(registers, thread);
        let spent = thread_cpu_ns().saturating_sub(start);
        self.handler_ns.fetch_add(spent, Ordering::Relaxed);
    }

    fn walk(&self, registers: Registers, thread: i32) {
        let Some(walker) = self.walkers.iter().find(|walker| walker.take()) else {
            self.lost_busy.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if let Some(place) = self.free_place() {
            // SAFETY: this handler has taken the walker and the place, see `Walker` and `Place`.
            let (tools, stored) = unsafe { (&mut *walker.tools.get(), &mut *place.stored.get()) };
            stored.label = (self.label)();
            stored.thread = thread;
            self.unwind(registers, tools, stored);
            if stored.is_truncated {
                self.truncated.fetch_add(1, Ordering::Relaxed);
            }
            self.samples.fetch_add(1, Ordering::Relaxed);
            place.state.store(STORED, Ordering::Release);
        } else {
            self.lost_full.fetch_add(1, Ordering::Relaxed);
        }
        walker.is_taken.store(false, Ordering::Release);
    }

    fn free_place(&self) -> Option<&Place> {
        let length = self.ring.len();
        (0..TRIES.min(length)).find_map(|_| {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % length;
            let place = self.ring.get(index)?;
            let taken =
                place
                    .state
                    .compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Relaxed);
            taken.is_ok().then_some(place)
        })
    }

    fn unwind(&self, registers: Registers, tools: &mut Tools, stored: &mut Stored) {
        let Tools { cache, stack } = tools;
        stack.begin(registers.stack_pointer);
        let mut read = |address| stack.read(address);
        let mut frames = self.unwinder.iter_frames(
            registers.instruction_pointer,
            registers.unwind,
            cache,
            &mut read,
        );
        stored.depth = 0;
        stored.is_truncated = loop {
            match frames.next() {
                Ok(None) => break false,
                Err(_) => break true,
                Ok(Some(_)) if stored.depth == MAX_FRAMES => break true,
                Ok(Some(frame)) => {
                    stored.frames[stored.depth] = frame.address_for_lookup();
                    stored.depth += 1;
                }
            }
        };
    }

    /// Calls `each` with each stored sample, and frees its place.
    pub(super) fn drain(&self, mut each: impl FnMut(Sample)) {
        for place in &self.ring {
            if place.state.load(Ordering::Acquire) != STORED {
                continue;
            }
            // SAFETY: the place is in the state STORED. The session drains with an exclusive reference or under a lock.
            let stored = unsafe { &*place.stored.get() };
            let sample = Sample {
                label: stored.label,
                thread: stored.thread,
                frames: stored.frames[..stored.depth].to_vec(),
                is_truncated: stored.is_truncated,
            };
            place.state.store(FREE, Ordering::Release);
            each(sample);
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            samples: of(&self.samples),
            truncated: of(&self.truncated),
            lost_busy: of(&self.lost_busy),
            lost_full: of(&self.lost_full),
            time_in_handler: Duration::from_nanos(of(&self.handler_ns)),
        }
    }
}

impl Walker {
    fn take(&self) -> bool {
        let taken =
            self.is_taken
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }
}

/// Returns the CPU time of the current thread.
fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for the write; `clock_gettime` is async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
