//! Sinks that turn observations into series.
//!
//! [`MetricsSink`] writes to the [`Registry`], [`FacadeSink`] to the `metrics` recorder of the application; both feed the
//! same series. A sink finds the series of a label set once and stores them, so a later observation costs a look-up and
//! a few additions.

mod backend;
mod facade;
mod http;
mod inference;
mod operations;
mod origin;
mod series;

use std::{fmt, sync::Arc};

use self::{facade::Facade, series::SeriesSink};
use super::registry::Registry;
use crate::observation::{Observation, Sink, forward_sink, interner::DEFAULT_LIMIT};

/// The side of the `GenAI` semantic conventions that a service records.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Side {
    /// The service calls remote models: `gen_ai.client.*`.
    #[default]
    Client,
    /// The service serves models: `gen_ai.server.*`.
    Server,
}

/// Options of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkOptions {
    /// The side of the `GenAI` metrics; `None` turns these metrics off. Default: client.
    pub gen_ai: Option<Side>,
    /// Max label sets for each kind of observation. Default: 2,000.
    pub series_limit: usize,
    /// Masks keys and tokens in the values of labels that [`FacadeSink`] passes on. A [`Registry`] masks by its own option.
    /// Default: true.
    pub masks: bool,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            gen_ai: Some(Side::Client),
            series_limit: DEFAULT_LIMIT,
            masks: true,
        }
    }
}

impl SinkOptions {
    /// Sets the side of the `GenAI` metrics; `None` turns these metrics off.
    #[must_use]
    pub const fn with_gen_ai(mut self, side: Option<Side>) -> Self {
        self.gen_ai = side;
        self
    }

    /// Sets the max label sets for each kind of observation, up to 1,000,000.
    #[must_use]
    pub const fn with_series_limit(mut self, limit: usize) -> Self {
        self.series_limit = limit;
        self
    }

    /// Passes the values of labels to the recorder as they are, with keys and tokens.
    #[must_use]
    pub const fn without_masks(mut self) -> Self {
        self.masks = false;
        self
    }
}

/// A sink that writes to a [`Registry`].
pub struct MetricsSink(SeriesSink<Registry>);

impl MetricsSink {
    /// Returns a sink that writes to `registry`.
    #[must_use]
    pub fn new(registry: Registry, options: SinkOptions) -> Self {
        Self(SeriesSink::new(registry, options))
    }
}

/// A sink that writes to the `metrics` recorder of the application, for example `metrics-exporter-prometheus`.
///
/// Each recording looks up its series in that recorder and costs the same as a macro of `metrics`. A recorder that
/// needs the buckets in advance finds the buckets in [`histograms`](super::catalog::histograms).
pub struct FacadeSink(SeriesSink<Facade>);

impl FacadeSink {
    /// Returns a sink that writes to the recorder that is global at the time of each recording.
    #[must_use]
    pub fn global(prefix: &str, options: SinkOptions) -> Self {
        Self(SeriesSink::new(Facade::global(prefix, options), options))
    }

    /// Returns a sink that writes to `recorder`.
    #[must_use]
    pub fn new(
        recorder: Arc<dyn metrics::Recorder + Send + Sync>,
        prefix: &str,
        options: SinkOptions,
    ) -> Self {
        let facade = Facade::of(recorder, prefix, options);
        Self(SeriesSink::new(facade, options))
    }
}

macro_rules! sinks {
    ($($sink:ty),*) => {
        $(
            impl Sink for $sink {
                forward_sink!(self => self.0);

                fn record(&self, observation: &Observation<'_>) {
                    self.0.record(observation);
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

sinks!(MetricsSink, FacadeSink);

#[cfg(test)]
mod tests;
