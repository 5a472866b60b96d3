//! Records one CPU profile at a time, on a thread of its own.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use futures_channel::oneshot;

use super::{
    CpuProfile, ProfilerConfig, ProfilerError, cpu,
    options::{MAX_DURATION, MIN_DURATION},
};
use crate::runtime::{lock, own_thread::Joinable};

/// The name of the thread; Linux shows fifteen characters of it.
const NAME: &str = "obs-profile";

/// Returns the name of the operation that a label stands for.
pub(crate) type OperationNames = Arc<dyn Fn(u64) -> Option<String> + Send + Sync>;

/// Records CPU profiles.
pub(crate) struct CpuRecorder {
    options: ProfilerConfig,
    names: OperationNames,
    /// The end of the profile that is being recorded.
    ends: Mutex<Option<Instant>>,
}

/// A profile that is requested.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuRequest {
    /// The configured duration if `None`.
    pub(crate) duration: Option<Duration>,
    /// The configured frequency if `None`.
    pub(crate) frequency_hz: Option<u32>,
}

impl CpuRecorder {
    pub(crate) fn new(options: ProfilerConfig, names: OperationNames) -> Arc<Self> {
        Arc::new(Self {
            options,
            names,
            ends: Mutex::new(None),
        })
    }

    /// Records a profile. The recording stops early if the future is dropped.
    pub(crate) async fn record(
        self: &Arc<Self>,
        request: CpuRequest,
    ) -> Result<CpuProfile, ProfilerError> {
        let receiver = self.start(request)?;
        receiver.await.map_err(|_| ProfilerError::Panicked)?
    }

    /// Starts the recording, and returns the receiver of the profile.
    fn start(
        self: &Arc<Self>,
        request: CpuRequest,
    ) -> Result<oneshot::Receiver<Result<CpuProfile, ProfilerError>>, ProfilerError> {
        if !self.options.enabled {
            return Err(ProfilerError::Disabled);
        }
        let duration = request.duration.unwrap_or(self.options.profile_duration);
        if !(MIN_DURATION..=MAX_DURATION).contains(&duration) {
            return Err(ProfilerError::Duration(duration));
        }
        let frequency_hz = request.frequency_hz.unwrap_or(self.options.frequency_hz);
        if !stack_sampler::FREQUENCIES_HZ.contains(&frequency_hz) {
            return Err(ProfilerError::Frequency(frequency_hz));
        }
        let place = Place::take(self, duration)?;
        let (send, receive) = oneshot::channel();
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let thread = Joinable::spawn(NAME, move || {
            let recorded = cpu::record_samples(frequency_hz, duration, &|| send.is_canceled());
            let names = Arc::clone(&place.0.names);
            // The next profile may begin while this profile is resolved.
            drop(place);
            let profile = recorded
                .map(|recorded| CpuProfile::new(&recorded, (frequency_hz, started), &*names));
            // The request may have been dropped.
            let _ = send.send(profile);
        });
        thread.map_err(ProfilerError::Thread)?;
        Ok(receive)
    }
}

/// The place of the profile that is being recorded. It is freed when it is dropped, also by a panic.
struct Place(Arc<CpuRecorder>);

impl Place {
    fn take(recorder: &Arc<CpuRecorder>, duration: Duration) -> Result<Self, ProfilerError> {
        let now = Instant::now();
        let mut ends = lock(&recorder.ends);
        if let Some(end) = *ends {
            let remaining = end.saturating_duration_since(now);
            return Err(ProfilerError::Busy { remaining });
        }
        *ends = Some(now + duration);
        Ok(Self(Arc::clone(recorder)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&self.0.ends) = None;
    }
}
