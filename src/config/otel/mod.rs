//! OpenTelemetry's variables. The SDK reads few of them, so we do.
//!
//! As its specification says, a value that cannot be used is left at its default, with a warning: it names the
//! variable that was typed, and shows its value unless that may be a secret. A file that a variable names is read
//! later, and one that cannot be read is an error: nobody is trusted in its stead.

mod otlp;
#[cfg(test)]
mod tests;
mod values;

#[cfg(feature = "otlp")]
pub(crate) use self::values::percent_bytes;
use self::values::{count, exporters, list, lower, milliseconds, pairs, share};
use super::{Config, JaegerConfig, Propagator, ZipkinConfig, endpoint::shown};

/// Sets what a variable says, or tells what would be right.
type Setter = fn(&mut Config, &str) -> Result<(), &'static str>;

/// Characters of a value that a warning shows.
const LONGEST_SHOWN: usize = 80;
const MILLISECONDS: &str = "a whole number of milliseconds";

/// Each variable, and what it sets; later ones stand over earlier ones.
const VARIABLES: &[(&str, Setter)] = &[
    ("OTEL_RESOURCE_ATTRIBUTES", resource),
    ("OTEL_SERVICE_NAME", |config, value| {
        value.clone_into(&mut config.service.name);
        Ok(())
    }),
    ("OTEL_TRACES_EXPORTER", traces_exporter),
    ("OTEL_TRACES_SAMPLER", sampler),
    ("OTEL_BSP_SCHEDULE_DELAY", |config, value| {
        milliseconds(value, &mut config.traces.batch.delay)
    }),
    ("OTEL_BSP_EXPORT_TIMEOUT", |config, value| {
        milliseconds(value, &mut config.traces.batch.timeout)
    }),
    ("OTEL_BSP_MAX_QUEUE_SIZE", |config, value| {
        config.traces.batch.set_queue_size(count(value)?);
        Ok(())
    }),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |config, value| {
        config.traces.batch.set_batch_size(count(value)?);
        Ok(())
    }),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", |config, value| {
        let limits = &mut config.traces.limits;
        limits.attributes = limit(value)?;
        limits.event_attributes = limits.attributes;
        limits.link_attributes = limits.attributes;
        Ok(())
    }),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", |config, value| {
        config.traces.limits.attributes = limit(value)?;
        Ok(())
    }),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", |config, value| {
        config.traces.limits.event_attributes = limit(value)?;
        Ok(())
    }),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", |config, value| {
        config.traces.limits.link_attributes = limit(value)?;
        Ok(())
    }),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", |config, value| {
        config.traces.limits.events = limit(value)?;
        Ok(())
    }),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", |config, value| {
        config.traces.limits.links = limit(value)?;
        Ok(())
    }),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_length),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_length),
    ("OTEL_PROPAGATORS", propagators),
    ("OTEL_METRICS_EXPORTER", metrics_exporter),
    ("OTEL_METRIC_EXPORT_INTERVAL", |config, value| {
        let mut interval = config.push.interval;
        milliseconds(value, &mut interval)?;
        if interval < super::validate::SHORTEST_TICK {
            return Err("a whole number of milliseconds, at least 100");
        }
        config.push.interval = interval;
        Ok(())
    }),
    ("OTEL_METRIC_EXPORT_TIMEOUT", |config, value| {
        milliseconds(value, &mut config.push.timeout)
    }),
    ("OTEL_METRICS_EXEMPLAR_FILTER", |_, value| {
        match &*lower(value) {
            "trace_based" => Ok(()),
            _ => Err("`trace_based`, the one way in which exemplars are chosen here"),
        }
    }),
    ("OTEL_LOGS_EXPORTER", logs_exporter),
    ("OTEL_BLRP_SCHEDULE_DELAY", |config, value| {
        milliseconds(value, &mut config.traces.logs.batch.delay)
    }),
    ("OTEL_BLRP_EXPORT_TIMEOUT", |config, value| {
        milliseconds(value, &mut config.traces.logs.batch.timeout)
    }),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", |config, value| {
        config.traces.logs.batch.set_queue_size(count(value)?);
        Ok(())
    }),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", |config, value| {
        config.traces.logs.batch.set_batch_size(count(value)?);
        Ok(())
    }),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", jaeger_endpoint),
    ("OTEL_EXPORTER_JAEGER_USER", |config, value| {
        if value.contains(':') {
            return Err(JaegerConfig::RIGHT_USER);
        }
        config.traces.jaeger.user = Some(value.to_owned());
        Ok(())
    }),
    ("OTEL_EXPORTER_JAEGER_PASSWORD", |config, value| {
        config.traces.jaeger.password = Some(value.into());
        Ok(())
    }),
    ("OTEL_EXPORTER_JAEGER_TIMEOUT", |config, value| {
        milliseconds(value, &mut config.traces.jaeger.timeout)
    }),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", |config, value| {
        let mut zipkin = config.traces.zipkin.clone();
        value.clone_into(&mut zipkin.endpoint);
        zipkin.address().map_err(|_| ZipkinConfig::RIGHT)?;
        config.traces.zipkin = zipkin;
        Ok(())
    }),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", |config, value| {
        milliseconds(value, &mut config.traces.zipkin.timeout)
    }),
    // Behind all others: off is off, whatever else is said.
    ("OTEL_SDK_DISABLED", disabled),
];

pub(super) fn apply(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    for (key, set) in VARIABLES {
        if let Some(value) = get(key)
            && let Err(expected) = set(config, value.trim())
        {
            warn(&mut config.notices, key, &value, expected);
        }
    }
    sampler_argument(config, get);
    otlp::apply(config, get);
}

/// Said once, however many signals a variable is for.
fn warn(notices: &mut Vec<String>, key: &str, value: &str, expected: &str) {
    let shown = match key {
        "OTEL_RESOURCE_ATTRIBUTES" | "OTEL_EXPORTER_JAEGER_USER" => "***".to_owned(),
        key if key.ends_with("_HEADERS") => "***".to_owned(),
        key if key.ends_with("_ENDPOINT") => format!("{:?}", shown(value)),
        _ => format!(
            "{:?}",
            value.chars().take(LONGEST_SHOWN).collect::<String>()
        ),
    };
    let notice =
        format!("{key} is {shown}, but must be {expected}; what cannot be used was left out");
    if !notices.contains(&notice) {
        notices.push(notice);
    }
}

/// `key=value` pairs between commas, values percent-encoded as in baggage.
fn resource(config: &mut Config, text: &str) -> Result<(), &'static str> {
    // The specification: on any error the whole value is discarded.
    for (key, value) in pairs(text).ok_or("`key=value` pairs between commas")? {
        let service = &mut config.service;
        match key.as_str() {
            "service.name" => service.name = value,
            "service.version" => service.version = Some(value),
            "deployment.environment.name" => service.environment = Some(value),
            _ => drop(service.attributes.insert(key, value)),
        }
    }
    Ok(())
}

fn traces_exporter(config: &mut Config, text: &str) -> Result<(), &'static str> {
    const RIGHT: &str =
        "of `otlp`, `jaeger`, `zipkin` (feature `zipkin`), `console` and `logging`, or `none`";
    if lower(text) == "none" {
        config.traces.enabled = false;
        return Ok(());
    }
    if !cfg!(feature = "otlp") {
        return Err("`none`, or the feature `otlp` added");
    }
    let (found, is_whole) = list(text, exporters);
    if !found.is_empty() {
        config.traces.exporters = found;
        config.traces.enabled = true;
    }
    is_whole.then_some(()).ok_or(RIGHT)
}

/// The share is said by another variable.
fn sampler(config: &mut Config, name: &str) -> Result<(), &'static str> {
    let name = lower(name);
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
    config.traces.sampling.ratio = ratio;
    config.traces.sampling.respects_parent = respects_parent;
    Ok(())
}

/// An argument says something to the sampler that takes one, as the one of the presets does, and to no other.
fn sampler_argument(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_TRACES_SAMPLER_ARG";
    let takes_one = get("OTEL_TRACES_SAMPLER").is_none_or(|name| {
        matches!(
            &*lower(name.trim()),
            "traceidratio" | "parentbased_traceidratio"
        )
    });
    if let Some(text) = get(KEY).filter(|_| takes_one) {
        match share(text.trim()) {
            Some(ratio) => config.traces.sampling.ratio = ratio,
            None => warn(&mut config.notices, KEY, &text, "a share from 0 to 1"),
        }
    }
}

fn propagators(config: &mut Config, text: &str) -> Result<(), &'static str> {
    const RIGHT: &str = "of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`";
    if lower(text) == "none" {
        config.traces.propagators.clear();
        return Ok(());
    }
    let (found, is_whole) = list(text, |name| {
        let mut all = Propagator::ALL.into_iter();
        all.find(|propagator| propagator.as_str() == name)
    });
    if !found.is_empty() {
        config.traces.propagators = found;
    }
    is_whole.then_some(()).ok_or(RIGHT)
}

fn metrics_exporter(config: &mut Config, text: &str) -> Result<(), &'static str> {
    // Prometheus is there in any case, unless `PROMETHEUS_ENABLED` says otherwise.
    let (found, is_whole) = list(text, |name| match name {
        "otlp" => Some(true),
        "prometheus" | "none" => Some(false),
        _ => None,
    });
    if found.contains(&true) && !cfg!(feature = "otlp") {
        return Err("`prometheus` or `none`, or the feature `otlp` added");
    }
    if !found.is_empty() {
        config.push.enabled = found.contains(&true);
    }
    is_whole
        .then_some(())
        .ok_or("of `otlp`, `prometheus`, or `none`")
}

fn logs_exporter(config: &mut Config, text: &str) -> Result<(), &'static str> {
    config.traces.logs.enabled = match &*lower(text) {
        "otlp" if config.traces.enabled => true,
        // They go by the ids and the redaction of traces.
        "otlp" => return Err("`none` where traces are off"),
        "none" => false,
        _ => return Err("`otlp` or `none`"),
    };
    Ok(())
}

fn jaeger_endpoint(config: &mut Config, text: &str) -> Result<(), &'static str> {
    let mut jaeger = config.traces.jaeger.clone();
    text.clone_into(&mut jaeger.endpoint);
    if jaeger.is_thrift() && !cfg!(feature = "jaeger") {
        return Err(JaegerConfig::RIGHT_WITHOUT_THRIFT);
    }
    jaeger.address().map_err(|_| JaegerConfig::RIGHT)?;
    config.traces.jaeger = jaeger;
    Ok(())
}

fn disabled(config: &mut Config, text: &str) -> Result<(), &'static str> {
    if text.eq_ignore_ascii_case("true") {
        config.traces.enabled = false;
        config.traces.logs.enabled = false;
        config.push.enabled = false;
    } else if !text.eq_ignore_ascii_case("false") {
        return Err("`true` or `false`");
    }
    Ok(())
}

fn value_length(config: &mut Config, text: &str) -> Result<(), &'static str> {
    let length = text.parse().map_err(|_| "a whole number of characters")?;
    config.traces.limits.value_length = Some(length);
    Ok(())
}

fn limit(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "a whole number")
}
