//! Applies the environment variables of OpenTelemetry's specification, few of which the SDK reads itself.
//!
//! As the specification says, an invalid value is ignored with a warning. The warning names the variable and shows its
//! value unless that may be a secret. A file that a variable names is read later, and a file that cannot be read is an
//! error, since ignoring a certificate would mean to trust other ones.

mod otlp;

use super::{Propagator, PushConfig, TracesConfig};
use crate::{
    net::without_secrets,
    settings::{
        Invalid, MIN_INTERVAL, Variable, count, known_names, lowercase, milliseconds, ratio,
        variable,
    },
    traces::TraceExporter,
};

/// Characters of an invalid value that a warning shows.
const MAX_SHOWN_CHARS: usize = 80;

/// The variables of traces and log records. Later rows take precedence.
const TRACES: &[Variable<TracesConfig>] = &[
    Variable::new("OTEL_TRACES_EXPORTER", traces_exporter),
    Variable::new("OTEL_TRACES_SAMPLER", sampler),
    variable!("OTEL_BSP_SCHEDULE_DELAY" => batch.delay, milliseconds),
    variable!("OTEL_BSP_EXPORT_TIMEOUT" => batch.timeout, milliseconds),
    Variable::new("OTEL_BSP_MAX_QUEUE_SIZE", |traces, value| {
        traces.batch.set_queue_size(count(value)?);
        Ok(())
    }),
    Variable::new("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |traces, value| {
        traces.batch.set_batch_size(count(value)?);
        Ok(())
    }),
    Variable::new("OTEL_ATTRIBUTE_COUNT_LIMIT", |traces, value| {
        let limits = &mut traces.limits;
        limits.attributes = limit(value)?;
        limits.event_attributes = limits.attributes;
        limits.link_attributes = limits.attributes;
        Ok(())
    }),
    variable!("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => limits.attributes, limit),
    variable!("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" => limits.event_attributes, limit),
    variable!("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" => limits.link_attributes, limit),
    variable!("OTEL_SPAN_EVENT_COUNT_LIMIT" => limits.events, limit),
    variable!("OTEL_SPAN_LINK_COUNT_LIMIT" => limits.links, limit),
    Variable::new("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_length),
    Variable::new("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_length),
    Variable::new("OTEL_PROPAGATORS", propagators),
    Variable::new("OTEL_LOGS_EXPORTER", logs_exporter),
    variable!("OTEL_BLRP_SCHEDULE_DELAY" => logs.batch.delay, milliseconds),
    variable!("OTEL_BLRP_EXPORT_TIMEOUT" => logs.batch.timeout, milliseconds),
    Variable::new("OTEL_BLRP_MAX_QUEUE_SIZE", |traces, value| {
        traces.logs.batch.set_queue_size(count(value)?);
        Ok(())
    }),
    Variable::new("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", |traces, value| {
        traces.logs.batch.set_batch_size(count(value)?);
        Ok(())
    }),
    // Last, since a disabled SDK stays disabled whatever the other variables set.
    Variable::new("OTEL_SDK_DISABLED", |traces, value| {
        if is_disabled(value)? {
            traces.enabled = false;
            traces.logs.enabled = false;
        }
        Ok(())
    }),
];

/// The variables of pushed metrics. Later rows take precedence.
const PUSH: &[Variable<PushConfig>] = &[
    Variable::new("OTEL_METRICS_EXPORTER", metrics_exporter),
    Variable::new("OTEL_METRIC_EXPORT_INTERVAL", |push, value| {
        let interval = milliseconds(value)?;
        if interval < MIN_INTERVAL {
            return Err("a whole number of milliseconds, at least 100");
        }
        push.interval = interval;
        Ok(())
    }),
    variable!("OTEL_METRIC_EXPORT_TIMEOUT" => timeout, milliseconds),
    Variable::new(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        |_, value| match &*lowercase(value) {
            "trace_based" => Ok(()),
            _ => Err("`trace_based`, the one way in which exemplars are chosen here"),
        },
    ),
    Variable::new("OTEL_SDK_DISABLED", |push, value| {
        push.enabled &= !is_disabled(value)?;
        Ok(())
    }),
];

/// Applies the variables that are set, and adds a notice for each invalid value.
pub(crate) fn apply(
    traces: &mut TracesConfig,
    push: &mut PushConfig,
    get: &impl Fn(&str) -> Option<String>,
    notices: &mut Vec<String>,
) {
    apply_table(TRACES, traces, get, notices);
    for exporter in TraceExporter::ALL {
        apply_table(exporter.spec().variables, traces, get, notices);
    }
    apply_table(PUSH, push, get, notices);
    sampler_argument(traces, get, notices);
    otlp::apply(traces, push, get, notices);
}

/// Applies the variables of one table.
pub(crate) fn apply_table<T>(
    table: &[Variable<T>],
    options: &mut T,
    get: &impl Fn(&str) -> Option<String>,
    notices: &mut Vec<String>,
) {
    for variable in table {
        if let Some(value) = get(variable.name)
            && let Err(expected) = (variable.apply)(options, value.trim())
        {
            warn(notices, variable.name, &value, expected);
        }
    }
}

/// Adds a notice about an invalid value, once for each variable.
pub(super) fn warn(notices: &mut Vec<String>, key: &str, value: &str, expected: &str) {
    let shown = match key {
        "OTEL_RESOURCE_ATTRIBUTES" | "OTEL_EXPORTER_JAEGER_USER" => "***".to_owned(),
        key if key.ends_with("_HEADERS") => "***".to_owned(),
        key if key.ends_with("_ENDPOINT") => format!("{:?}", without_secrets(value)),
        _ => format!(
            "{:?}",
            value.chars().take(MAX_SHOWN_CHARS).collect::<String>()
        ),
    };
    let notice = format!("{key} is {shown}, but must be {expected}; the invalid value was ignored");
    if !notices.contains(&notice) {
        notices.push(notice);
    }
}

fn traces_exporter(traces: &mut TracesConfig, text: &str) -> Result<(), Invalid> {
    if lowercase(text) == "none" {
        traces.enabled = false;
        return Ok(());
    }
    if !cfg!(feature = "otlp") {
        return Err("`none`, or the feature `otlp` added");
    }
    let (found, is_whole) = known_names(text, exporters);
    if !found.is_empty() {
        traces.exporters = found;
        traces.enabled = true;
    }
    is_whole.then_some(()).ok_or(TraceExporter::NAMES_EXPECTED)
}

/// Applies the name of the sampler; `OTEL_TRACES_SAMPLER_ARG` has its ratio.
fn sampler(traces: &mut TracesConfig, name: &str) -> Result<(), Invalid> {
    let name = lowercase(name);
    let (base, respects_parent) = match name.strip_prefix("parentbased_") {
        Some(base) => (base, true),
        None => (&*name, false),
    };
    let ratio = match base {
        "always_on" | "traceidratio" => 1.0,
        "always_off" => 0.0,
        _ => {
            return Err(
                "`always_on`, `always_off`, `traceidratio`, or one of them with `parentbased_` before it",
            );
        }
    };
    traces.sampling.ratio = ratio;
    traces.sampling.respects_parent = respects_parent;
    Ok(())
}

/// Applies the ratio of the sampler, if the sampler takes an argument; the sampler of the presets does.
fn sampler_argument(
    traces: &mut TracesConfig,
    get: &impl Fn(&str) -> Option<String>,
    notices: &mut Vec<String>,
) {
    const KEY: &str = "OTEL_TRACES_SAMPLER_ARG";
    let takes_argument = get("OTEL_TRACES_SAMPLER").is_none_or(|name| {
        matches!(
            &*lowercase(name.trim()),
            "traceidratio" | "parentbased_traceidratio"
        )
    });
    if let Some(text) = get(KEY).filter(|_| takes_argument) {
        match ratio(text.trim()) {
            Some(ratio) => traces.sampling.ratio = ratio,
            None => warn(notices, KEY, &text, "a share from 0 to 1"),
        }
    }
}

fn propagators(traces: &mut TracesConfig, text: &str) -> Result<(), Invalid> {
    const RIGHT: &str = "of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`";
    if lowercase(text) == "none" {
        traces.propagators.clear();
        return Ok(());
    }
    let (found, is_whole) = known_names(text, |name| {
        let mut all = Propagator::ALL.into_iter();
        all.find(|propagator| propagator.as_str() == name)
    });
    if !found.is_empty() {
        traces.propagators = found;
    }
    is_whole.then_some(()).ok_or(RIGHT)
}

fn metrics_exporter(push: &mut PushConfig, text: &str) -> Result<(), Invalid> {
    // The Prometheus endpoint is enabled in any case, unless `PROMETHEUS_ENABLED` disables it.
    let (found, is_whole) = known_names(text, |name| match name {
        "otlp" => Some(true),
        "prometheus" | "none" => Some(false),
        _ => None,
    });
    if found.contains(&true) && !cfg!(feature = "otlp") {
        return Err("`prometheus` or `none`, or the feature `otlp` added");
    }
    if !found.is_empty() {
        push.enabled = found.contains(&true);
    }
    is_whole
        .then_some(())
        .ok_or("of `otlp`, `prometheus`, or `none`")
}

fn logs_exporter(traces: &mut TracesConfig, text: &str) -> Result<(), Invalid> {
    traces.logs.enabled = match &*lowercase(text) {
        "otlp" if traces.enabled => true,
        // Log records use the ids and the redaction of traces.
        "otlp" => return Err("`none` where traces are off"),
        "none" => false,
        _ => return Err("`otlp` or `none`"),
    };
    Ok(())
}

fn is_disabled(text: &str) -> Result<bool, Invalid> {
    match &*lowercase(text) {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("`true` or `false`"),
    }
}

fn value_length(traces: &mut TracesConfig, text: &str) -> Result<(), Invalid> {
    let length = text.parse().map_err(|_| "a whole number of characters")?;
    traces.limits.value_length = Some(length);
    Ok(())
}

fn limit(text: &str) -> Result<u32, Invalid> {
    text.parse().map_err(|_| "a whole number")
}

/// Parses the name of an exporter that is compiled in.
fn exporters(name: &str) -> Option<TraceExporter> {
    TraceExporter::ALL.into_iter().find(|exporter| {
        let is_named = exporter.as_str() == name || exporter.spec().aliases.contains(&name);
        is_named && exporter.missing_feature().is_none()
    })
}
