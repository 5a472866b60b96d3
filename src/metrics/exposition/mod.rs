//! The registry in the formats that others read.

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

/// Attributes of the resource that is observed, by name.
pub(crate) type ResourceAttributes = std::sync::Arc<[(String, String)]>;

/// When and for whom something is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Monotonic time, for series that expire; `None` shows them all.
    pub(crate) now: Option<Duration>,
    /// Wall clock now and at the start of the process, for OTLP.
    pub(crate) wall: Duration,
    pub(crate) start: Duration,
    /// Attributes of the OTLP resource: names and values.
    pub(crate) resource: Arc<[(String, String)]>,
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
    /// Every series, idle ones too, in `format`. Gauges that the observatory derives from others are as of its
    /// last tick.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        to_string(self, format, &Moment::default())
    }
}

/// What idle expiry needs to know of a series.
pub(crate) trait Fingerprint {
    /// A number that changes whenever the series does.
    fn fingerprint(&self) -> u64;

    /// Whether it goes on saying something though it does not change.
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

/// Whether a series is written at `moment`. Only those with labels expire: the others are not many.
pub(crate) fn is_shown<T: Fingerprint>(
    registry: &Registry,
    series: &Series<T>,
    moment: &Moment,
) -> bool {
    let (Some(expiry), Some(now)) = (registry.expiry(), moment.now) else {
        return true;
    };
    let id = std::ptr::from_ref(series).addr();
    // Asked first in any case: it notes the change.
    let is_fresh = series.labels.is_empty() || expiry.is_shown(id, series.cell.fingerprint(), now);
    is_fresh || series.cell.is_lasting()
}
