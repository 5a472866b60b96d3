//! Samples the call stacks of the own process into addresses and labels.
//!
//! A [`Session`] arms a timer of the process's CPU time. Each expiry sends `SIGPROF` to the thread that runs, and the
//! signal handler walks the stack of that thread, copies a label of the thread, and stores both in a ring of a fixed
//! size. [`Session::drain`] reads the ring. [`sample_thread`] sends the signal to one thread, which may be blocked.
//!
//! The handler takes no lock and allocates nothing: the unwind tables of all loaded modules are copied before the first
//! signal, and the stack is read by `process_vm_readv`, which reports an unmapped address instead of faulting. A module
//! that is unloaded during a session therefore costs frames, and not the process. Addresses are not resolved to names
//! here; [`Session::modules`] has the files and the addresses that they are loaded at.
//!
//! The handler stays installed after the last session, because a signal may still be pending, and the default action of
//! `SIGPROF` ends the process. No symbol is exported, so that an application can link another profiler. Two profilers
//! cannot run at the same time: [`Session::start`] refuses if the signal or the timer is taken.
//!
//! Linux on `x86_64` and `aarch64`; [`StartError::Unsupported`] elsewhere.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod unsupported;

use std::{io, time::Duration};

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub use self::linux::{Session, sample_thread};
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub use self::unsupported::{Session, sample_thread};

/// The maximum number of frames of a sample. Deeper stacks keep the innermost frames.
pub const MAX_FRAMES: usize = 256;

/// The range of [`Options::frequency_hz`].
pub const FREQUENCIES_HZ: std::ops::RangeInclusive<u32> = 1..=1000;

/// The options of a session.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of samples per second of CPU time.
    pub frequency_hz: u32,
    /// Returns the label of the current thread.
    ///
    /// The signal handler calls the function, so it must neither lock nor allocate: it reads a const-initialised
    /// thread-local of a type without a destructor, or returns a constant.
    pub label: fn() -> u64,
}

impl Default for Options {
    /// 99 Hz, which does not run in step with work of a round frequency, and the label 0.
    fn default() -> Self {
        Self {
            frequency_hz: 99,
            label: || 0,
        }
    }
}

/// The stack of a thread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The label of the thread.
    pub label: u64,
    /// The id of the thread, as in `/proc/self/task`.
    pub thread: i32,
    /// The addresses of the frames, innermost first. Each lies inside the instruction of its frame: return addresses
    /// are reduced by one.
    pub frames: Vec<u64>,
    /// True if the walk has not reached the outermost frame.
    pub is_truncated: bool,
}

/// Counts since the start of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Samples that were stored.
    pub samples: u64,
    /// Stored samples whose walk did not reach the outermost frame.
    pub truncated: u64,
    /// Samples that were lost because too many threads were in the handler at once.
    pub lost_busy: u64,
    /// Samples that were lost because [`Session::drain`] was not called in time.
    pub lost_full: u64,
    /// CPU time in the handler.
    pub time_in_handler: Duration,
}

/// A loaded executable or library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The path of the file; empty for the vDSO, and `/proc/self/exe` for the executable.
    pub path: std::path::PathBuf,
    /// The difference between an address in memory and the address in the file.
    pub bias: u64,
    /// The addresses of the module in memory.
    pub range: std::ops::Range<u64>,
}

/// The reason for which no stack can be sampled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The platform has no implementation.
    #[error("stacks are sampled on Linux on x86_64 and aarch64 only")]
    Unsupported,
    /// The frequency is out of range.
    #[error("the frequency is {0} Hz; it must lie between 1 and 1000 Hz")]
    Frequency(u32),
    /// Another session runs.
    #[error("another session runs in this process")]
    Busy,
    /// The application, or another profiler, handles the signal.
    #[error(
        "SIGPROF has a handler of the application or of another profiler (SigCgt in /proc/self/status); stop that profiler first"
    )]
    SignalTaken,
    /// The application, or another profiler, uses the timer.
    #[error(
        "the timer ITIMER_PROF is used by the application or by another profiler; stop that profiler first"
    )]
    TimerTaken,
    /// The system does not let the process read its own memory.
    #[error(
        "the system refuses process_vm_readv for the own process; a seccomp profile of the container may forbid it"
    )]
    MemoryUnreadable(#[source] io::Error),
    /// A call of the system failed.
    #[error("{call} failed")]
    System {
        /// The name of the call.
        call: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The thread has not handled the signal.
    #[error(
        "the thread {0} did not handle SIGPROF in time: it blocks the signal, or it waits inside the kernel"
    )]
    NoAnswer(i32),
}
