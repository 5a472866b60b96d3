//! The one place that touches globals: subscriber, recorder, `log` bridge.

use std::io;

use tracing::{Metadata, dispatcher, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
};

use super::{InstallError, Observatory};
use crate::config::Config;

pub(super) fn install(config: Config) -> Result<Observatory, InstallError> {
    if dispatcher::has_been_set() {
        return Err(InstallError::SubscriberInstalled);
    }
    let filter = EnvFilter::builder().parse_lossy(&config.log_filter);
    // What nobody wants is turned away outermost, where it is free; the Layer's spans are INFO. The log's own
    // filter stands on the log alone, so that a quiet log costs no metric.
    let outermost = filter
        .max_level_hint()
        .unwrap_or(LevelFilter::TRACE)
        .max(LevelFilter::INFO);
    let (layer, observatory) = Observatory::builder(config)
        .build()
        .map_err(InstallError::Build)?;
    let log = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(is_terminal())
        .with_filter(filter.and(filter_fn(is_for_people)));
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(log)
        .with(outermost);
    if observatory.is_enabled() && metrics::set_global_recorder(observatory.recorder()).is_err() {
        return Err(InstallError::RecorderInstalled);
    }
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| InstallError::SubscriberInstalled)?;
    // A logger of the application's own stays; its records then do not come through tracing.
    let _ = tracing_log::LogTracer::init();
    Ok(observatory)
}

/// Events that are named after a token come a hundred times a second; they are for the Layer, not for people.
fn is_for_people(metadata: &Metadata<'_>) -> bool {
    !(metadata.is_event() && matches!(metadata.name(), "token" | "first_token"))
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
