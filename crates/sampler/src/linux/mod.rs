//! Sessions: start, drain, stop.

mod handler;
mod modules;
mod recorder;
mod stack_reader;

use std::{
    fmt,
    sync::Mutex,
    time::{Duration, Instant},
};

use self::{
    handler::{Installed, Source},
    recorder::Recorder,
};
use crate::{Counters, FREQUENCIES_HZ, Module, Options, Sample, StartError};

/// The number of samples that the ring of a session holds.
const RING: usize = 512;
/// The interval at which [`sample_thread`] looks for the answer.
const POLL: Duration = Duration::from_micros(200);

/// Serialises the requests of [`sample_thread`].
static ONE_THREAD: Mutex<()> = Mutex::new(());

/// A running sampler. It stops when it is dropped.
#[must_use = "the sampler stops when it is dropped"]
pub struct Session {
    installed: Installed,
    modules: Vec<Module>,
}

impl Session {
    /// Copies the unwind tables, installs the signal handler, and arms the timer.
    ///
    /// # Errors
    ///
    /// Returns an error if the frequency is out of range, another session runs, or the signal or the timer is taken.
    pub fn start(options: Options) -> Result<Self, StartError> {
        if !FREQUENCIES_HZ.contains(&options.frequency_hz) {
            return Err(StartError::Frequency(options.frequency_hz));
        }
        let (unwinder, modules) = modules::load();
        let recorder = Recorder::new(unwinder, options.label, RING)?;
        let mut installed = Installed::new(Source::Timer, recorder)?;
        installed.arm_timer(options.frequency_hz)?;
        Ok(Self { installed, modules })
    }

    /// Calls `each` with each stored sample, and frees its place in the ring. The ring holds 512 samples: at 99 Hz, a
    /// call every 100 ms is enough for 50 busy cores.
    pub fn drain(&mut self, each: impl FnMut(Sample)) {
        self.installed.recorder().drain(each);
    }

    /// Stops the timer. A drain afterwards returns the last samples.
    pub fn pause(&mut self) {
        self.installed.disarm_timer();
    }

    /// Returns the counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.installed.recorder().counters()
    }

    /// Returns the modules that were loaded at the start.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Returns whether the signal is still handled by this crate: another profiler may have replaced the handler.
    #[must_use]
    pub fn has_signal(&self) -> bool {
        handler::is_installed()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// Returns the stack of one thread, by a signal to it, and the modules of its addresses. A session may run meanwhile.
///
/// # Errors
///
/// Returns an error if the signal is taken, the thread does not exist, or it does not handle the signal within
/// `timeout`.
pub fn sample_thread(
    thread: i32,
    options: Options,
    timeout: Duration,
) -> Result<(Sample, Vec<Module>), StartError> {
    let _one_at_a_time = ONE_THREAD
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let (unwinder, modules) = modules::load();
    let recorder = Recorder::new(unwinder, options.label, 4)?;
    let installed = Installed::new(Source::Thread, recorder)?;
    handler::send_to(thread)?;
    let start = Instant::now();
    loop {
        let mut found = None;
        // An answer of an earlier request that came too late is for another thread.
        installed.recorder().drain(|sample| {
            if sample.thread == thread {
                found = Some(sample);
            }
        });
        if let Some(sample) = found {
            return Ok((sample, modules));
        }
        if start.elapsed() >= timeout {
            return Err(StartError::NoAnswer(thread));
        }
        std::thread::sleep(POLL);
    }
}
