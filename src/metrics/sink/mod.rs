//! Sinks that turn observations into series.
//!
//! [`MetricsSink`] writes to the [`Registry`], [`FacadeSink`] to the `metrics` recorder of the application; both feed the
//! same series. A sink finds the series of a label set once and stores them, so a later observation costs a look-up and
//! a few additions.

mod backend;
mod both;
mod facade;
mod http;
mod inference;
mod kept;
mod operations;
mod origin;
mod series;

use std::{fmt, sync::Arc, time::Duration};

use self::{both::Both, facade::Facade, series::SeriesSink};
use super::registry::Registry;
use crate::observation::{
    Dropped, Handle, InFlight, InferenceEnd, Labels, Observation, Sink, forward_sink,
    interner::DEFAULT_LIMIT,
};

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
    /// Time after which [`FacadeSink`] registers an unused series anew, since the recorder may have evicted the series.
    /// Must be below the recorder's idle timeout; zero registers a series for each recording. Default: 5 s.
    pub handle_lifetime: Duration,
}

/// The default of [`SinkOptions::handle_lifetime`].
pub(crate) const HANDLE_LIFETIME: Duration = Duration::from_secs(5);

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            gen_ai: Some(Side::Client),
            series_limit: DEFAULT_LIMIT,
            masks: true,
            handle_lifetime: HANDLE_LIFETIME,
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

    /// Sets the time after which [`FacadeSink`] registers an unused series anew.
    #[must_use]
    pub const fn with_handle_lifetime(mut self, lifetime: Duration) -> Self {
        self.handle_lifetime = lifetime;
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
/// The sink keeps the recorder's handle of each series, and registers a series anew that was unused for
/// [`handle_lifetime`](SinkOptions::handle_lifetime), because the recorder may have evicted it. It keeps no handle while
/// no recorder is installed. A recorder that needs the buckets in advance finds the buckets in
/// [`histograms`](super::catalog::histograms).
///
/// Recorders are told apart by their address. A test that creates several recorders in turn, each for a scope of
/// `metrics::with_local_recorder`, sets the lifetime to zero, because two such recorders can have the same address.
pub struct FacadeSink {
    series: SeriesSink<Facade>,
    options: SinkOptions,
}

impl FacadeSink {
    /// Returns a sink that writes to the recorder that is global at the time of each recording.
    #[must_use]
    pub fn global(prefix: &str, options: SinkOptions) -> Self {
        Self::of(Facade::new(None, prefix, options), options)
    }

    /// Returns a sink that writes to `recorder`.
    #[must_use]
    pub fn new(
        recorder: Arc<dyn metrics::Recorder + Send + Sync>,
        prefix: &str,
        options: SinkOptions,
    ) -> Self {
        Self::of(Facade::new(Some(recorder), prefix, options), options)
    }

    fn of(facade: Facade, options: SinkOptions) -> Self {
        let series = SeriesSink::new(facade, options);
        Self { series, options }
    }
}

/// The sink of an observatory: its registry alone, or also the `metrics` recorder of the application.
#[expect(
    clippy::large_enum_variant,
    reason = "an observatory has a single sink, and the common variant needs no further indirection"
)]
pub(crate) enum ServiceSink {
    Own(MetricsSink),
    WithRecorder(Box<SeriesSink<Both>>),
}

impl ServiceSink {
    /// Returns a sink that writes to `registry`, and to the recorder of `facade` if there is a facade.
    pub(crate) fn new(
        registry: Registry,
        options: SinkOptions,
        facade: Option<FacadeSink>,
    ) -> Self {
        match facade {
            None => Self::Own(MetricsSink::new(registry, options)),
            Some(facade) => {
                let limit = options.series_limit.min(facade.options.series_limit);
                let options = options.with_series_limit(limit);
                let both = Both {
                    registry,
                    facade: facade.series.into_backend(),
                };
                Self::WithRecorder(Box::new(SeriesSink::new(both, options)))
            }
        }
    }
}

macro_rules! of_service {
    ($sink:ident, $series:ident => $call:expr) => {
        match $sink {
            ServiceSink::Own(MetricsSink($series)) => $call,
            ServiceSink::WithRecorder($series) => $call,
        }
    };
}

impl Sink for ServiceSink {
    #[inline]
    fn open(&self, labels: &mut Labels) -> Handle {
        of_service!(self, series => series.open(labels))
    }

    fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
        of_service!(self, series => series.relabel(handle, later))
    }

    fn chunk(&self, handle: Handle, gap: Duration) {
        of_service!(self, series => series.chunk(handle, gap));
    }

    #[inline]
    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
        of_service!(self, series => series.close(handle, end, failure));
    }

    fn record(&self, observation: &Observation<'_>) {
        of_service!(self, series => series.record(observation));
    }

    fn abandon(&self, handle: Handle) {
        of_service!(self, series => series.abandon(handle));
    }

    fn request_began(&self, request: InFlight<'_>) -> Handle {
        of_service!(self, series => series.request_began(request))
    }

    fn request_ended(&self, handle: Handle) {
        of_service!(self, series => series.request_ended(handle));
    }

    fn labels(&self, handle: Handle) -> Option<Labels> {
        of_service!(self, series => series.labels(handle))
    }

    fn dropped(&self, reason: Dropped, what: &str) {
        of_service!(self, series => series.dropped(reason, what));
    }
}

macro_rules! sinks {
    ($($sink:ty: $series:tt),*) => {
        $(
            impl Sink for $sink {
                forward_sink!(self => self.$series);

                fn record(&self, observation: &Observation<'_>) {
                    self.$series.record(observation);
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

sinks!(MetricsSink: 0, FacadeSink: series);

#[cfg(test)]
mod tests;
