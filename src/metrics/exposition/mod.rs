//! The registry in the formats that others read.

mod chunks;
mod json;
pub(crate) mod number;
mod otlp;
mod text;

use std::{ops::ControlFlow, time::Duration};

pub(crate) use self::{chunks::Chunks, otlp::Resource};
use super::registry::{Counter, Gauge, Histogram, Registry, Series};

/// A format of exposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    #[default]
    Prometheus,
    /// `OpenMetrics` text, version 1.0.0, with exemplars.
    OpenMetrics,
    /// JSON in the shape of `prom2json`: families with their metrics, numbers as strings.
    Json,
    /// OTLP metrics as JSON (`ExportMetricsServiceRequest`).
    OpenTelemetry,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json | Self::OpenTelemetry => "application/json",
        }
    }
}

/// When and for whom something is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Monotonic time, for series that expire.
    pub(crate) now: Duration,
    /// Wall clock now and at the start of the process, for OTLP.
    pub(crate) wall: Duration,
    pub(crate) start: Duration,
    pub(crate) resource: Resource,
}

/// Writes everything in `format`, chunk by chunk.
pub(crate) fn write(
    registry: &Registry,
    format: Format,
    moment: &Moment,
    out: &mut Chunks<'_>,
) -> ControlFlow<()> {
    match format {
        Format::Prometheus => text::write(registry, text::Style::Prometheus, moment, out),
        Format::OpenMetrics => text::write(registry, text::Style::OpenMetrics, moment, out),
        Format::Json => json::write(registry, moment, out),
        Format::OpenTelemetry => otlp::write(registry, moment, out),
    }
}

/// Everything in one string.
pub(crate) fn to_string(registry: &Registry, format: Format, moment: &Moment) -> String {
    let mut whole = String::new();
    let mut take = |chunk: String| {
        whole.push_str(&chunk);
        ControlFlow::Continue(())
    };
    let mut out = Chunks::new(&mut take);
    let _ = write(registry, format, moment, &mut out).is_continue() && out.finish().is_continue();
    whole
}

impl Registry {
    /// Every series, in `format`. Gauges that the observatory derives from others are as of its last tick.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        to_string(self, format, &Moment::default())
    }
}

/// A number that changes whenever a series does, for the kinds of series that may be hidden while idle.
trait Fingerprint {
    /// `None`: never hidden.
    fn fingerprint(&self) -> Option<u64>;
}

impl Fingerprint for Counter {
    fn fingerprint(&self) -> Option<u64> {
        let value = self.value();
        Some(value.whole ^ value.fraction.to_bits())
    }
}

impl Fingerprint for Gauge {
    /// A gauge that says something goes on saying it; one at 0 may go.
    fn fingerprint(&self) -> Option<u64> {
        (self.value() == 0.0).then_some(0)
    }
}

impl Fingerprint for Histogram {
    fn fingerprint(&self) -> Option<u64> {
        Some(self.count())
    }
}

/// Whether a series is written at `moment`. Only those with labels expire: the others are not many.
fn is_shown<T: Fingerprint>(registry: &Registry, series: &Series<T>, moment: &Moment) -> bool {
    let Some(expiry) = registry.expiry().filter(|_| !series.labels.is_empty()) else {
        return true;
    };
    let id = std::ptr::from_ref(series).addr();
    series
        .cell
        .fingerprint()
        .is_none_or(|fingerprint| expiry.is_shown(id, fingerprint, moment.now))
}
