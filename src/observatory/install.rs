//! Installs the observatory into the process. Only this module sets globals: subscriber, recorder, `log` bridge.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_log::AsLog as _;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
};

use super::{InstallError, Observatory};
use crate::config::Config;

/// Remembers that an observatory is installed in this process, or is being installed.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

pub(super) fn install(config: Config) -> Result<Observatory, InstallError> {
    if IS_INSTALLED.swap(true, Ordering::AcqRel) {
        return Err(InstallError::Installed);
    }
    let installed = install_first(config);
    if installed.is_err() {
        IS_INSTALLED.store(false, Ordering::Release);
    }
    installed
}

/// Installs the observatory. Every step that can fail comes before the steps that cannot be undone.
fn install_first(config: Config) -> Result<Observatory, InstallError> {
    if has_recorder() {
        return Err(InstallError::RecorderInstalled);
    }
    let filter = EnvFilter::builder().parse_lossy(&config.log_filter);
    // The outermost filter disables everything that no layer wants, where disabling is free. The spans of the Layer
    // have the level INFO. The log's own filter applies to the log alone, so that a quiet log costs no metric.
    let outermost = filter
        .max_level_hint()
        .unwrap_or(LevelFilter::TRACE)
        .max(LevelFilter::INFO);
    let events = exported_level(&config).max(outermost);
    let (layer, observatory) = Observatory::builder(config)
        .event_level(outermost)
        .build()
        .map_err(InstallError::Build)?;
    let log = observatory
        .log_layer()
        .with_filter(filter.and(filter_fn(is_logged)));
    let subscriber = tracing_subscriber::registry().with(layer).with(log);
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(
        observatory
            .log_export_layer()
            .with_filter(filter_fn(is_logged)),
    );
    let installed = if events == outermost {
        tracing::subscriber::set_global_default(subscriber.with(outermost))
    } else {
        let lets = move |metadata: &Metadata<'_>| {
            *metadata.level() <= outermost || (metadata.is_event() && *metadata.level() <= events)
        };
        let filter = filter_fn(lets).with_max_level_hint(events);
        tracing::subscriber::set_global_default(subscriber.with(filter))
    };
    installed.map_err(|_| InstallError::SubscriberInstalled)?;
    if observatory.is_enabled() {
        metrics::set_global_recorder(observatory.recorder())
            .map_err(|_| InstallError::RecorderInstalled)?;
    }
    // A subscriber is installed now, so the notices are logged even if the process ends soon.
    observatory.0.core.report_notices();
    // A logger that the application has installed stays, and its records do not reach tracing. The level keeps disabled
    // `log::trace!` calls of dependencies cheap.
    let _ = tracing_log::LogTracer::init_with_filter(events.as_log());
    Ok(observatory)
}

/// Returns the level of the events that are exported as log records, independently of the log's filter.
fn exported_level(config: &Config) -> LevelFilter {
    let traces = &config.traces;
    if config.enabled && traces.enabled && traces.logs.enabled {
        LevelFilter::from_level(traces.logs.level)
    } else {
        LevelFilter::OFF
    }
}

/// Returns `true` if a `metrics` recorder is installed. The facade has no query for it; its no-op recorder has size
/// zero.
fn has_recorder() -> bool {
    metrics::with_recorder(|recorder| size_of_val(recorder) > 0)
}

/// Returns `true` if the log shows this event. Events of single tokens occur hundreds of times a second and are for the
/// Layer only.
fn is_logged(metadata: &Metadata<'_>) -> bool {
    !(metadata.is_event() && matches!(metadata.name(), "token" | "first_token"))
}
