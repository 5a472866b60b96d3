//! Writes the registry in exposition formats: Prometheus text, `OpenMetrics`, JSON, OTLP.

mod chunks;
mod json;
pub(crate) mod number;
mod otlp;
#[cfg(feature = "otlp")]
pub(crate) mod protobuf;
mod text;

use std::{ops::ControlFlow, sync::Arc, time::Duration};

pub(crate) use self::chunks::Chunks;
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
    /// Returns the media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json | Self::OpenTelemetry => "application/json",
        }
    }
}

/// Attributes of the observed resource: names and values.
pub(crate) type ResourceAttributes = std::sync::Arc<[(String, String)]>;

/// The times and the resource of an exposition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Monotonic time, for the expiry of idle series; `None` shows all series.
    pub(crate) now: Option<Duration>,
    /// Wall clock now and at the start of the process, for OTLP.
    pub(crate) wall: Duration,
    pub(crate) start: Duration,
    /// Attributes of the OTLP resource: names and values.
    pub(crate) resource: Arc<[(String, String)]>,
}

/// Writes the registry in `format`, chunk by chunk.
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

/// Returns the registry in `format`.
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
    /// Returns all series, idle series included, in `format`. Derived gauges have the values of the last tick.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        to_string(self, format, &Moment::default())
    }
}

/// The properties of a series that the idle expiry uses.
pub(crate) trait Fingerprint {
    /// Returns a number that changes with each change of the series.
    fn fingerprint(&self) -> u64;

    /// Returns whether the series stays meaningful without a change.
    fn is_lasting(&self) -> bool {
        false
    }
}

impl Fingerprint for Counter {
    fn fingerprint(&self) -> u64 {
        let value = self.value();
        value.whole ^ value.fraction.to_bits()
    }
}

impl Fingerprint for Gauge {
    fn fingerprint(&self) -> u64 {
        self.value().to_bits()
    }

    fn is_lasting(&self) -> bool {
        self.value() != 0.0
    }
}

impl Fingerprint for Histogram {
    fn fingerprint(&self) -> u64 {
        self.count()
    }
}

/// Returns the series of a family that are shown at a moment.
pub(crate) fn shown<'s, T: Fingerprint>(
    registry: &'s Registry,
    series: &'s [Arc<Series<T>>],
    moment: &'s Moment,
) -> impl Iterator<Item = &'s Series<T>> {
    let series = series.iter().map(|series| &**series);
    series.filter(|series| is_shown(registry, series, moment))
}

/// Returns whether a series is shown at `moment`. Only series with labels expire: series without labels are few.
fn is_shown<T: Fingerprint>(registry: &Registry, series: &Series<T>, moment: &Moment) -> bool {
    let (Some(expiry), Some(now)) = (registry.expiry(), moment.now) else {
        return true;
    };
    let id = std::ptr::from_ref(series).addr();
    // `is_shown` records a change, so it runs for every series with labels.
    let is_fresh = series.labels.is_empty() || expiry.is_shown(id, series.cell.fingerprint(), now);
    is_fresh || series.cell.is_lasting()
}
