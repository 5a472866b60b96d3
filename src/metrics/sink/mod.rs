//! Observations become series.
//!
//! One rule for which series an observation feeds, two places where they can be: [`MetricsSink`] writes to our
//! [`Registry`], [`FacadeSink`] to whatever `metrics` recorder the application has. The series of a label set
//! are found once and kept; from then on an observation is one look-up and a few additions.

mod backend;
mod facade;
mod http;
mod inference;
mod operations;
mod origin;
mod series;

use std::{fmt, sync::Arc, time::Duration};

use self::{backend::Backend as _, facade::Facade, series::SeriesSink};
use super::registry::Registry;
use crate::observation::{Dropped, Handle, InFlight, InferenceEnd, Labels, Observation, Sink};

/// Which of the `GenAI` conventions' metrics a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// It calls models that others serve: `gen_ai.client.*`.
    #[default]
    Client,
    /// It serves models: `gen_ai.server.*`.
    Server,
}

/// Which series observations become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkOptions {
    /// The conventions' series, on one side; `None` for none. Default: client.
    pub gen_ai: Option<Side>,
    /// Label sets remembered for each kind of observation. Default: 2,000.
    pub series_limit: usize,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            gen_ai: Some(Side::Client),
            series_limit: crate::observation::interner::DEFAULT_LIMIT,
        }
    }
}

impl SinkOptions {
    /// Sets the side of the conventions' series; `None` for none.
    #[must_use]
    pub const fn with_gen_ai(mut self, side: Option<Side>) -> Self {
        self.gen_ai = side;
        self
    }

    /// Sets how many label sets are remembered for each kind of observation, up to a million.
    #[must_use]
    pub const fn with_series_limit(mut self, limit: usize) -> Self {
        self.series_limit = limit;
        self
    }
}

/// A sink that writes to our [`Registry`].
pub struct MetricsSink(SeriesSink<Registry>);

impl MetricsSink {
    /// A sink into `registry`.
    #[must_use]
    pub fn new(registry: Registry, options: SinkOptions) -> Self {
        Self(SeriesSink::new(registry, options))
    }
}

/// A sink that writes to the `metrics` recorder of the application, `metrics-exporter-prometheus`, say.
///
/// Each recording looks its series up in that recorder, as the macros of `metrics` do, so it costs what they
/// cost. A recorder that wants to know buckets beforehand finds them in
/// [`histograms`](super::catalog::histograms).
pub struct FacadeSink(SeriesSink<Facade>);

impl FacadeSink {
    /// A sink into the global recorder, whichever it is when something is recorded.
    #[must_use]
    pub fn global(prefix: &str, options: SinkOptions) -> Self {
        Self(SeriesSink::new(Facade::global(prefix), options))
    }

    /// A sink into one recorder.
    #[must_use]
    pub fn new(
        recorder: Arc<dyn metrics::Recorder + Send + Sync>,
        prefix: &str,
        options: SinkOptions,
    ) -> Self {
        Self(SeriesSink::new(Facade::of(recorder, prefix), options))
    }
}

macro_rules! delegate {
    ($($sink:ty),*) => {
        $(
            impl Sink for $sink {
                #[inline]
                fn open(&self, labels: &mut Labels) -> Handle {
                    self.0.open(labels)
                }

                fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
                    self.0.relabel(handle, later)
                }

                fn chunk(&self, handle: Handle, gap: Duration) {
                    self.0.chunk(handle, gap);
                }

                #[inline]
                fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
                    self.0.close(handle, end, failure);
                }

                fn record(&self, observation: &Observation<'_>) {
                    self.0.record(observation);
                }

                fn abandon(&self, handle: Handle) {
                    self.0.abandon(handle);
                }

                fn request_began(&self, request: InFlight<'_>) -> Handle {
                    self.0.request_began(request)
                }

                fn request_ended(&self, handle: Handle) {
                    self.0.request_ended(handle);
                }

                fn dropped(&self, reason: Dropped, what: &str) {
                    self.0.backend().dropped(reason, what);
                }
            }

            impl fmt::Debug for $sink {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($sink)).finish_non_exhaustive()
                }
            }
        )*
    };
}

delegate!(MetricsSink, FacadeSink);

#[cfg(test)]
mod tests;
