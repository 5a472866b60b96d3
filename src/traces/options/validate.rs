//! Validates the options of traces.

use super::{BatchConfig, Signal, TailConfig, TracesConfig};
use crate::{
    observation::Kind,
    settings::{ConfigError, MIN_INTERVAL, at_least, check, check_compiled_in, share},
};

/// The minimum memory that holds a trace in tail sampling.
const MIN_BYTES: usize = 1 << 20;
/// The minimum memory that holds a live trace.
const MIN_LIVE_BYTES: usize = 64 << 10;

impl TracesConfig {
    /// Validates every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        // Redaction applies to logs and alerts, too, so it is checked even if traces are disabled.
        self.redaction.validate()?;
        if self.enabled { traces(self) } else { Ok(()) }
    }
}

fn traces(traces: &TracesConfig) -> Result<(), ConfigError> {
    check_compiled_in("traces.enabled", true, cfg!(feature = "otlp"), "otlp")?;
    let sampling = &traces.sampling;
    share("traces.sampling.ratio", sampling.ratio)?;
    for (at, rule) in sampling.rules.iter().enumerate() {
        share(&format!("traces.sampling.rules[{at}].ratio"), rule.ratio)?;
    }
    check(
        sampling.traces_per_second.is_none_or(|most| most > 0.0),
        "traces.sampling.traces_per_second",
        &sampling.traces_per_second,
        "above 0",
    )?;
    if let Some(tail) = &traces.tail {
        tail_sampling(tail)?;
    }
    if traces.live.enabled {
        at_least("traces.live.bytes", &traces.live.bytes, MIN_LIVE_BYTES)?;
    }
    gathering("traces.batch", &traces.batch)?;
    if traces.logs.enabled {
        gathering("traces.logs.batch", &traces.logs.batch)?;
        traces.logs.otlp.check(Signal::Logs)?;
    }
    for exporter in &traces.exporters {
        if let Some(expected) = exporter.missing_feature() {
            check(false, "traces.exporters", exporter, expected)?;
        }
        (exporter.spec().validate)(traces)?;
    }
    Ok(())
}

fn gathering(key: &str, batch: &BatchConfig) -> Result<(), ConfigError> {
    at_least(&format!("{key}.queue_size"), &batch.queue_size, 1)?;
    check(
        (1..=batch.queue_size).contains(&batch.batch_size),
        &format!("{key}.batch_size"),
        &batch.batch_size,
        "above 0, and no more than the queue's size",
    )
}

fn tail_sampling(tail: &TailConfig) -> Result<(), ConfigError> {
    share("traces.tail.ratio", tail.ratio)?;
    for kind in tail.slow.keys() {
        check(
            Kind::is_known(kind),
            "traces.tail.slow",
            kind,
            "a kind of span, `inference` or `http_request`, say",
        )?;
    }
    check(
        tail.cost_usd.is_none_or(|cost| cost > 0.0),
        "traces.tail.cost_usd",
        &tail.cost_usd,
        "above 0",
    )?;
    at_least("traces.tail.wait", &tail.wait, MIN_INTERVAL)?;
    at_least("traces.tail.bytes", &tail.bytes, MIN_BYTES)?;
    at_least("traces.tail.decisions", &tail.decisions, 1)
}
