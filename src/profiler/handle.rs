//! The handle of the profiler.

#[cfg(feature = "profiling")]
use std::time::Duration;
use std::{fmt, sync::Arc};

use super::{
    Bottleneck, PerformanceThresholds, ProfilerConfig, ProfilerError, SpanFlameGraph, bottlenecks,
};
#[cfg(feature = "profiling")]
use super::{
    CpuProfile,
    recorder::{CpuRecorder, CpuRequest},
};

use crate::journal::Journal;

/// Records profiles of the process. Clones share the profiler.
#[derive(Clone)]
pub struct Profiler {
    #[cfg(feature = "profiling")]
    cpu: Arc<CpuRecorder>,
    journal: Option<Arc<Journal>>,
    thresholds: PerformanceThresholds,
}

/// The parts that the observatory gives to its profiler.
pub(crate) struct ProfilerParts<'a> {
    pub(crate) options: &'a ProfilerConfig,
    /// `None` if the journal is off.
    pub(crate) journal: Option<Arc<Journal>>,
}

impl Profiler {
    pub(crate) fn new(parts: ProfilerParts<'_>) -> Self {
        let ProfilerParts { options, journal } = parts;
        #[cfg(feature = "profiling")]
        let names = journal.clone();
        Self {
            #[cfg(feature = "profiling")]
            cpu: CpuRecorder::new(
                options.clone(),
                Arc::new(move |label| names.as_ref()?.operation_name(label)),
            ),
            journal,
            thresholds: options.performance_thresholds,
        }
    }

    /// Returns the flame graph of all spans that have closed, by the time of their paths: the time in which a span itself
    /// ran, and the time in which it waited.
    ///
    /// The graph needs no signals, and shows calls that are too short for samples, and the time of waiting.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal is off.
    pub fn span_flame_graph(&self) -> Result<SpanFlameGraph, ProfilerError> {
        let journal = self.journal.as_ref().ok_or(ProfilerError::NoJournal)?;
        Ok(SpanFlameGraph::new(&journal.paths()))
    }

    /// Returns the bottlenecks since the start, the most severe first: operations that wait, keep a thread, fail, or call a
    /// child too often, by `profiler.performance_thresholds`.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal is off.
    pub fn bottlenecks(&self) -> Result<Vec<Bottleneck>, ProfilerError> {
        let journal = self.journal.as_ref().ok_or(ProfilerError::NoJournal)?;
        let (report, paths) = (journal.report(), journal.paths());
        Ok(bottlenecks::find(&report, &paths, &self.thresholds))
    }

    /// Returns the report of the journal.
    #[cfg(feature = "server")]
    pub(crate) fn journal(&self) -> Option<crate::journal::JournalReport> {
        self.journal.as_ref().map(|journal| journal.report())
    }

    /// Records a CPU profile for `duration`, from 10 ms to 10 min. One profile is recorded at a time. The recording
    /// stops if the future is dropped.
    ///
    /// The future needs no runtime: a thread of the observatory records the profile.
    ///
    /// # Errors
    ///
    /// Returns an error if the duration is out of range, another profile is being recorded, the profiler is off, or the
    /// process has another profiler.
    #[cfg(feature = "profiling")]
    pub async fn cpu_profile(&self, duration: Duration) -> Result<CpuProfile, ProfilerError> {
        let request = CpuRequest {
            duration: Some(duration),
            frequency_hz: None,
        };
        self.cpu.record(request).await
    }

    /// Records the CPU profile that a request describes.
    #[cfg(all(feature = "profiling", feature = "server"))]
    pub(crate) async fn requested_cpu_profile(
        &self,
        request: CpuRequest,
    ) -> Result<CpuProfile, ProfilerError> {
        self.cpu.record(request).await
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler").finish_non_exhaustive()
    }
}
