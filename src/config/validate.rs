//! What can be used, and what is said about what cannot.

use std::{fmt::Debug, time::Duration};

use super::{
    BatchConfig, Config, ConfigError, JaegerConfig, PrometheusConfig, PushConfig, QueryConfig,
    TailConfig, TraceExporter, TracesConfig,
    endpoint::{Signal, shown},
};
use crate::{
    layer::is_known_field,
    metrics::{MAX_SERIES, check_buckets},
    observation::{Kind, Mapping},
    redaction,
};

pub(super) const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// Ticks and memory below which there is nothing to be asked.
const FEWEST_TICKS: u32 = 10;
const FEWEST_BYTES: usize = 1 << 20;

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    check(
        config.tick >= SHORTEST_TICK,
        "tick",
        &config.tick,
        "a duration of at least 100ms",
    )?;
    check(
        !config.service.name.is_empty(),
        "service.name",
        &config.service.name,
        "a name",
    )?;
    compiled_in(
        config.prometheus.enabled,
        cfg!(feature = "server"),
        "prometheus.enabled",
        "false, or the feature `server` added",
    )?;
    compiled_in(
        config.health.enabled,
        cfg!(feature = "health"),
        "health.enabled",
        "false, or the feature `health` added",
    )?;
    compiled_in(
        config.query.enabled,
        cfg!(feature = "alerting"),
        "query.enabled",
        "false, or the feature `alerting` added",
    )?;
    paths(config)?;
    metrics(&config.prometheus)?;
    if config.query.enabled {
        query(&config.query, config.tick)?;
    }
    #[cfg(feature = "alerting")]
    alerting(&config.alerting)?;
    check(
        !config.traces.logs.enabled || config.traces.enabled || !config.enabled,
        "traces.logs.enabled",
        &true,
        "false, or traces on: log records go by their ids and their redaction",
    )?;
    // With traces or without: logs and alerts go by it, too.
    for pattern in &config.traces.redaction.patterns {
        check(
            redaction::is_pattern(pattern),
            "traces.redaction.patterns",
            pattern,
            redaction::RIGHT_PATTERN,
        )?;
    }
    if config.traces.enabled {
        traces(&config.traces)?;
    }
    if config.push.enabled {
        push(&config.push)?;
    }
    names(&config.mapping)
}

fn push(push: &PushConfig) -> Result<(), ConfigError> {
    compiled_in(
        true,
        cfg!(feature = "otlp"),
        "push.enabled",
        "false, or the feature `otlp` added",
    )?;
    check(
        push.interval >= SHORTEST_TICK,
        "push.interval",
        &push.interval,
        "a duration of at least 100ms",
    )?;
    push.otlp.check(Signal::Metrics)
}

#[cfg(feature = "alerting")]
fn alerting(alerting: &super::AlertingConfig) -> Result<(), ConfigError> {
    for (key, value, least) in [
        (
            "alerting.evaluation_interval",
            &alerting.evaluation_interval,
            SHORTEST_TICK,
        ),
        (
            "alerting.aggregation_window",
            &alerting.aggregation_window,
            Duration::from_secs(1),
        ),
        (
            "alerting.escalation_delay",
            &alerting.escalation_delay,
            Duration::from_secs(1),
        ),
    ] {
        let expected = if least == SHORTEST_TICK {
            "a duration of at least 100ms"
        } else {
            "a duration of at least 1s"
        };
        check(*value >= least, key, value, expected)?;
    }
    check(
        alerting.max_history > 0,
        "alerting.storage.max_history",
        &alerting.max_history,
        "a whole number above 0",
    )?;
    check(
        !alerting.http.connect_timeout.is_zero(),
        "alerting.http.connect_timeout",
        &alerting.http.connect_timeout,
        "a duration above 0s",
    )?;
    // An attempt has 30 s, of which up to 10 s go to waiting for a turn.
    check(
        (Duration::from_millis(1)..=Duration::from_secs(20)).contains(&alerting.http.timeout),
        "alerting.http.timeout",
        &alerting.http.timeout,
        "a duration above 0s and at most 20s",
    )?;
    let is_token = |token: &crate::alerting::Secret| !token.expose().is_empty();
    check(
        alerting.api_token.as_ref().is_none_or(is_token),
        "alerting.api_token",
        &"empty",
        "a token, or none at all",
    )?;
    if let Some(template) = &alerting.trace_url {
        let key = "alerting.trace_url";
        let right = "a URL without user and password and with `{trace_id}` in it, `http://jaeger:16686/trace/{trace_id}`, say";
        url(key, template, right)?;
        let is_complete = template.contains(super::alerting::TRACE_ID);
        check(is_complete, key, &shown(template), right)?;
    }
    for (name, channel) in &alerting.channels {
        let is_known = |fallback: &String| alerting.channels.contains_key(fallback);
        check(
            channel.fallback.as_ref().is_none_or(is_known),
            &format!("alerting.channels.{name}.fallback"),
            &channel.fallback,
            "the name of another channel",
        )?;
    }
    Ok(())
}

fn traces(traces: &TracesConfig) -> Result<(), ConfigError> {
    const SHARE: &str = "a share from 0 to 1";
    compiled_in(
        true,
        cfg!(feature = "otlp"),
        "traces.enabled",
        "false, or the feature `otlp` added",
    )?;
    let sampling = &traces.sampling;
    let shares = sampling.rules.iter().map(|rule| rule.ratio);
    for share in shares.chain([sampling.ratio]) {
        check(
            (0.0..=1.0).contains(&share),
            "traces.sampling.ratio",
            &share,
            SHARE,
        )?;
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
    check(
        !traces.live.enabled || traces.live.bytes >= 64 << 10,
        "traces.live.bytes",
        &traces.live.bytes,
        "at least 65536 (64 KiB)",
    )?;
    gathering("traces.batch", &traces.batch)?;
    if traces.logs.enabled {
        gathering("traces.logs.batch", &traces.logs.batch)?;
        traces.logs.otlp.check(Signal::Logs)?;
    }
    for exporter in &traces.exporters {
        exporter_can_be_had(*exporter, traces)?;
    }
    Ok(())
}

fn gathering(key: &str, batch: &BatchConfig) -> Result<(), ConfigError> {
    check(
        batch.queue_size > 0,
        &format!("{key}.queue_size"),
        &batch.queue_size,
        "above 0",
    )?;
    check(
        (1..=batch.queue_size).contains(&batch.batch_size),
        &format!("{key}.batch_size"),
        &batch.batch_size,
        "above 0, and no more than the queue's size",
    )
}

fn tail_sampling(tail: &TailConfig) -> Result<(), ConfigError> {
    check(
        (0.0..=1.0).contains(&tail.ratio),
        "traces.tail.ratio",
        &tail.ratio,
        "a share from 0 to 1",
    )?;
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
    check(
        tail.wait >= Duration::from_millis(100),
        "traces.tail.wait",
        &tail.wait,
        "at least 100ms",
    )?;
    check(
        tail.bytes >= FEWEST_BYTES,
        "traces.tail.bytes",
        &tail.bytes,
        "at least 1048576 (1 MiB)",
    )?;
    check(
        tail.decisions > 0,
        "traces.tail.decisions",
        &tail.decisions,
        "above 0",
    )
}

fn exporter_can_be_had(exporter: TraceExporter, traces: &TracesConfig) -> Result<(), ConfigError> {
    match exporter {
        TraceExporter::Console => Ok(()),
        TraceExporter::Otlp => traces.otlp.check(Signal::Traces),
        TraceExporter::Jaeger => {
            let jaeger = &traces.jaeger;
            jaeger.address()?;
            check(
                jaeger.user.as_ref().is_none_or(|user| !user.contains(':')),
                "traces.jaeger.user",
                &jaeger.user,
                JaegerConfig::RIGHT_USER,
            )?;
            check(
                !jaeger.is_thrift() || cfg!(feature = "jaeger"),
                "traces.jaeger.endpoint",
                &shown(&jaeger.endpoint),
                JaegerConfig::RIGHT_WITHOUT_THRIFT,
            )
        }
        TraceExporter::Zipkin => {
            check(
                cfg!(feature = "zipkin"),
                "traces.exporters",
                &exporter,
                "others, or the feature `zipkin` added",
            )?;
            traces.zipkin.address().map(drop)
        }
    }
}

/// A URL without user and password, which may be a template.
#[cfg(feature = "alerting")]
fn url(key: &str, url: &str, right: &'static str) -> Result<(), ConfigError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let is_url = rest.is_some_and(|rest| {
        !rest.starts_with('/')
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    check(is_url && !url.contains('@'), key, &shown(url), right)
}

fn paths(config: &Config) -> Result<(), ConfigError> {
    let (metrics, health) = (&config.prometheus.endpoint, &config.health.endpoint);
    for (key, path) in [
        ("prometheus.endpoint", metrics),
        ("health.endpoint", health),
    ] {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
        let is_path = path.starts_with('/') && path.len() > 1 && path.bytes().all(is_plain);
        check(is_path, key, path, "a path such as `/metrics`")?;
    }
    let all = [metrics.as_str(), health.as_str(), "/status"];
    let are_different = all[0] != all[1] && all[0] != all[2] && all[1] != all[2];
    check(
        are_different,
        "prometheus.endpoint",
        &all,
        "different paths for metrics, health and status",
    )
}

fn metrics(prometheus: &PrometheusConfig) -> Result<(), ConfigError> {
    const NAME: &str = "made of letters, digits and underscores, and not beginning with a digit; `my_service_`, say";
    const LABEL: &str = "a label name: letters, digits and underscores, not `le`, not beginning with a digit or `__`";
    let PrometheusConfig {
        prefix,
        series_limit,
        labels,
        buckets,
        ..
    } = prometheus;
    check(is_name_part(prefix), "prometheus.prefix", prefix, NAME)?;
    let is_limit = (1..=MAX_SERIES).contains(series_limit);
    check(
        is_limit,
        "prometheus.series_limit",
        series_limit,
        "a number from 1 to 1000000",
    )?;
    let is_timeout = prometheus
        .idle_timeout
        .is_none_or(|timeout| timeout >= Duration::from_secs(1));
    check(
        is_timeout,
        "prometheus.idle_timeout",
        &prometheus.idle_timeout,
        "at least 1s",
    )?;
    for label in labels.keys() {
        let is_label =
            !label.is_empty() && is_name_part(label) && !label.starts_with("__") && label != "le";
        check(is_label, "prometheus.labels", label, LABEL)?;
    }
    for (which, upper) in buckets {
        check_buckets(upper).map_err(|source| ConfigError::Buckets {
            which: format!("{which:?}"),
            source,
        })?;
    }
    Ok(())
}

fn query(query: &QueryConfig, tick: Duration) -> Result<(), ConfigError> {
    let QueryConfig {
        retention,
        timeout,
        max_samples,
        lookback,
        ..
    } = query;
    check(
        retention.time >= tick * FEWEST_TICKS,
        "query.retention.time",
        &retention.time,
        "at least ten ticks",
    )?;
    check(
        retention.bytes >= FEWEST_BYTES,
        "query.retention.bytes",
        &retention.bytes,
        "at least 1048576 (1 MiB)",
    )?;
    check(
        *timeout >= Duration::from_millis(10),
        "query.timeout",
        timeout,
        "at least 10ms",
    )?;
    check(
        *max_samples > 0,
        "query.max_samples",
        max_samples,
        "a whole number above 0",
    )?;
    check(
        *lookback >= tick,
        "query.lookback",
        lookback,
        "at least one tick",
    )
}

fn names(mapping: &Mapping) -> Result<(), ConfigError> {
    const SPAN: &str = "mapped to a span name of the table in the documentation, `inference`, say";
    const FIELD: &str = "mapped to a field name of the table in the documentation, `model_id`, say";
    for pair in &mapping.spans {
        check(Kind::is_known(pair.1), "mapping.spans", &pair, SPAN)?;
    }
    for pair in &mapping.fields {
        check(is_known_field(pair.1), "mapping.fields", &pair, FIELD)?;
    }
    Ok(())
}

/// What is asked for must be compiled in.
fn compiled_in(
    is_wanted: bool,
    is_there: bool,
    key: &str,
    expected: &'static str,
) -> Result<(), ConfigError> {
    check(!is_wanted || is_there, key, &is_wanted, expected)
}

fn check(
    is_right: bool,
    key: &str,
    value: &dyn Debug,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if is_right {
        return Ok(());
    }
    Err(ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected,
    })
}

/// Whether this can stand at the beginning of a metric's name.
fn is_name_part(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_digit())
}
