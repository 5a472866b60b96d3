//! The errors of profiles.

use std::time::Duration;

/// The reason for which there is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilerError {
    /// The configuration switches the profiler off.
    #[error("the profiler is off: set profiler.enabled (PROFILER_ENABLED) to true")]
    Disabled,
    /// The duration is out of range.
    #[error("the duration of a profile is {0:?}; it must lie between 10 ms and 10 min")]
    Duration(Duration),
    /// The frequency is out of range.
    #[error("the frequency of a profile is {0} Hz; it must lie between 1 and 1000 Hz")]
    Frequency(u32),
    /// Another profile is being recorded.
    #[error("another profile is being recorded; it ends in {:.1} s", .remaining.as_secs_f64())]
    Busy {
        /// The time until the other profile ends.
        remaining: Duration,
    },
    /// The journal is off.
    #[error("the journal of spans is off: set journal.enabled (OBSERVATORY_JOURNAL) to true")]
    NoJournal,
    /// A feature is not compiled in.
    #[error("this needs the feature `{0}` of llm-observatory, which is not compiled in")]
    NotCompiledIn(&'static str),
    /// The sampler cannot start.
    #[cfg(feature = "profiling")]
    #[error("stacks cannot be sampled")]
    Sampler(#[from] stack_sampler::StartError),
    /// A thread cannot be started.
    #[error("the thread of the profile cannot be started")]
    Thread(#[source] std::io::Error),
    /// The flame graph cannot be drawn.
    #[error("the flame graph cannot be drawn: {0}")]
    Drawing(String),
    /// The thread of the profile panicked.
    #[error("the recording of the profile panicked; this is a defect of llm-observatory")]
    Panicked,
}
