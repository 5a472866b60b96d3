//! OpenTelemetry's variables. As its specification says, a value that cannot be used is left at its default, with a
//! warning; the SDK reads few of them, so we do.

use std::{fmt::Display, str::FromStr, time::Duration};

use super::{Compression, Config, OtlpConfig, OtlpProtocol, Propagator, TraceExporter};

/// What is to be said, without the value: it may be a secret in the wrong place.
fn warn(config: &mut Config, key: &str, expected: impl Display) {
    config.notices.push(format!(
        "{key} cannot be used and was left out; it must be {expected}"
    ));
}

pub(super) fn apply(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        config.traces.enabled = false;
        config.push.enabled = false;
    }
    resource(config, get);
    exporters(config, get);
    sampler(config, get);
    batch(config, get);
    config.traces.otlp = otlp(
        config,
        get,
        ("TRACES", "/v1/traces"),
        config.traces.otlp.clone(),
    );
    config.push.otlp = otlp(
        config,
        get,
        ("METRICS", "/v1/metrics"),
        config.push.otlp.clone(),
    );
    config.traces.logs.otlp = otlp(
        config,
        get,
        ("LOGS", "/v1/logs"),
        config.traces.logs.otlp.clone(),
    );
    metrics(config, get);
    logs(config, get);
    propagators(config, get);
    jaeger_and_zipkin(config, get);
}

/// `key=value` pairs between commas, values percent-encoded as in baggage. `OTEL_SERVICE_NAME` stands over the name.
fn resource(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(text) = get(KEY) else { return };
    // The specification: on any error the whole value is discarded.
    let Some(pairs) = pairs(&text) else {
        return warn(config, KEY, "`key=value` pairs between commas");
    };
    let has_name = get("OTEL_SERVICE_NAME").is_some();
    for (key, value) in pairs {
        let service = &mut config.service;
        match key.as_str() {
            "service.name" if has_name => {}
            "service.name" => service.name = value,
            "service.version" => service.version = Some(value),
            "deployment.environment.name" => service.environment = Some(value),
            _ => drop(service.attributes.insert(key, value)),
        }
    }
}

fn exporters(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_TRACES_EXPORTER";
    let Some(text) = get(KEY) else { return };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names == ["none"] {
        config.traces.enabled = false;
        return;
    }
    let known = |name: &&str| match *name {
        "logging" => Some(TraceExporter::Console),
        name => TraceExporter::ALL
            .into_iter()
            .find(|exporter| exporter.as_str() == name),
    };
    let mut found: Vec<TraceExporter> = names.iter().filter_map(known).collect();
    if found.len() < names.len() {
        warn(
            config,
            KEY,
            "of `otlp`, `jaeger`, `zipkin`, `console`, or `none`",
        );
    }
    found.dedup();
    if !found.is_empty() {
        config.traces.exporters = found;
        let is_disabled =
            get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        config.traces.enabled = !is_disabled;
    }
}

fn sampler(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(name) = get(KEY) else { return };
    let (base, respects_parent) = match name.strip_prefix("parentbased_") {
        Some(base) => (base, true),
        None => (name.as_str(), false),
    };
    let ratio = match base {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => match get(ARGUMENT).map(|text| text.parse()) {
            None => 1.0,
            Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => ratio,
            Some(_) => {
                warn(config, ARGUMENT, "a share from 0 to 1");
                1.0
            }
        },
        _ => {
            return warn(
                config,
                KEY,
                "`always_on`, `always_off`, `traceidratio`, or one of them with `parentbased_` before it",
            );
        }
    };
    config.traces.sampling.ratio = ratio;
    config.traces.sampling.respects_parent = respects_parent;
}

fn batch(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0_usize);
    let mut batch = config.traces.batch.clone();
    let mut limits = config.traces.limits.clone();
    read(
        config,
        get,
        "OTEL_BSP_SCHEDULE_DELAY",
        milliseconds,
        &mut batch.delay,
    );
    read(
        config,
        get,
        "OTEL_BSP_EXPORT_TIMEOUT",
        milliseconds,
        &mut batch.timeout,
    );
    read(
        config,
        get,
        "OTEL_BSP_MAX_QUEUE_SIZE",
        number,
        &mut batch.queue_size,
    );
    read(
        config,
        get,
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        number,
        &mut batch.batch_size,
    );
    // "Must be less than or equal to" the queue's size.
    batch.batch_size = batch.batch_size.min(batch.queue_size);
    read(
        config,
        get,
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        parsed,
        &mut limits.attributes,
    );
    read(
        config,
        get,
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        parsed,
        &mut limits.events,
    );
    read(
        config,
        get,
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        parsed,
        &mut limits.links,
    );
    for key in [
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    ] {
        let some = |text: &str| text.parse().ok().map(Some);
        read(config, get, key, some, &mut limits.value_length);
    }
    config.traces.batch = batch;
    config.traces.limits = limits;
}

fn logs(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_LOGS_EXPORTER";
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0_usize);
    match get(KEY).as_deref().map(str::trim) {
        None => {}
        Some("otlp") if config.traces.enabled => config.traces.logs.enabled = true,
        // They go by the ids and the redaction of traces.
        Some("otlp") => warn(config, KEY, "`none` where traces are off"),
        Some("none") => config.traces.logs.enabled = false,
        Some(_) => warn(config, KEY, "`otlp` or `none`"),
    }
    let mut batch = config.traces.logs.batch.clone();
    for (key, place) in [
        ("OTEL_BLRP_SCHEDULE_DELAY", &mut batch.delay),
        ("OTEL_BLRP_EXPORT_TIMEOUT", &mut batch.timeout),
    ] {
        read(config, get, key, milliseconds, place);
    }
    for (key, place) in [
        ("OTEL_BLRP_MAX_QUEUE_SIZE", &mut batch.queue_size),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &mut batch.batch_size),
    ] {
        read(config, get, key, number, place);
    }
    batch.batch_size = batch.batch_size.min(batch.queue_size);
    config.traces.logs.batch = batch;
}

fn metrics(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_METRICS_EXPORTER";
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    let mut push = config.push.clone();
    if let Some(text) = get(KEY) {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        // Prometheus is there in any case, unless `PROMETHEUS_ENABLED` says otherwise.
        let is_known = |name: &&str| matches!(*name, "otlp" | "prometheus" | "none");
        if !names.iter().all(is_known) {
            warn(config, KEY, "of `otlp`, `prometheus`, or `none`");
        }
        let is_disabled =
            get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        push.enabled = names.contains(&"otlp") && !is_disabled;
    }
    read(
        config,
        get,
        "OTEL_METRIC_EXPORT_INTERVAL",
        milliseconds,
        &mut push.interval,
    );
    config.push = push;
}

/// How one signal is sent: `TRACES` or `METRICS`, and its path.
fn otlp(
    config: &mut Config,
    get: &impl Fn(&str) -> Option<String>,
    (signal, path): (&str, &str),
    mut otlp: OtlpConfig,
) -> OtlpConfig {
    // What is said of one signal stands over what is said of all.
    let find = |name: &str| {
        let of_one = format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let of_all = format!("OTEL_EXPORTER_OTLP_{name}");
        get(&of_one)
            .map(|value| (of_one, value))
            .or_else(|| Some((of_all.clone(), get(&of_all)?)))
    };
    if let Some((key, value)) = find("PROTOCOL") {
        match value.as_str() {
            "grpc" => otlp.protocol = OtlpProtocol::Grpc,
            "http/protobuf" => otlp.protocol = OtlpProtocol::HttpProtobuf,
            _ => warn(config, &key, "`grpc` or `http/protobuf`"),
        }
    }
    if let Some((key, value)) = find("COMPRESSION") {
        match value.as_str() {
            "gzip" => otlp.compression = Compression::Gzip,
            "none" => otlp.compression = Compression::None,
            _ => warn(config, &key, "`gzip` or `none`"),
        }
    }
    if let Some((key, value)) = find("TIMEOUT") {
        match value.parse() {
            Ok(milliseconds) => otlp.timeout = Duration::from_millis(milliseconds),
            Err(_) => warn(config, &key, "a number of milliseconds"),
        }
    }
    if let Some((key, value)) = find("HEADERS") {
        match pairs(&value) {
            Some(pairs) => {
                otlp.headers = pairs
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect();
            }
            None => warn(config, &key, "`name=value` pairs between commas"),
        }
    }
    if let Some((_, path)) = find("CERTIFICATE") {
        otlp.certificate = Some(path.into());
    }
    // An endpoint for all signals is where the paths of each begin; one for a signal is taken as it is.
    if let Some(endpoint) = get(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")) {
        otlp.endpoint = Some(endpoint);
    } else if let Some(endpoint) = get("OTEL_EXPORTER_OTLP_ENDPOINT") {
        otlp.endpoint = Some(match otlp.protocol {
            OtlpProtocol::Grpc => endpoint,
            OtlpProtocol::HttpProtobuf => format!("{}{path}", endpoint.trim_end_matches('/')),
        });
    }
    otlp
}

fn jaeger_and_zipkin(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    let mut jaeger = config.traces.jaeger.clone();
    let mut zipkin = config.traces.zipkin.clone();
    if let Some(endpoint) = get("OTEL_EXPORTER_JAEGER_ENDPOINT") {
        jaeger.endpoint = endpoint;
    }
    if let Some(user) = get("OTEL_EXPORTER_JAEGER_USER") {
        jaeger.user = Some(user);
    }
    if let Some(password) = get("OTEL_EXPORTER_JAEGER_PASSWORD") {
        jaeger.password = Some(password.into());
    }
    if let Some(endpoint) = get("OTEL_EXPORTER_ZIPKIN_ENDPOINT") {
        zipkin.endpoint = endpoint;
    }
    for (key, place) in [
        ("OTEL_EXPORTER_JAEGER_TIMEOUT", &mut jaeger.timeout),
        ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", &mut zipkin.timeout),
    ] {
        read(config, get, key, milliseconds, place);
    }
    config.traces.jaeger = jaeger;
    config.traces.zipkin = zipkin;
}

fn propagators(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    const KEY: &str = "OTEL_PROPAGATORS";
    let Some(text) = get(KEY) else { return };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names == ["none"] {
        config.traces.propagators.clear();
        return;
    }
    let known = |name: &&str| {
        Propagator::ALL
            .into_iter()
            .find(|propagator| propagator.as_str() == *name)
    };
    let mut found: Vec<Propagator> = names.iter().filter_map(known).collect();
    if found.len() < names.len() {
        warn(
            config,
            KEY,
            "of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`",
        );
    }
    found.dedup();
    if !found.is_empty() {
        config.traces.propagators = found;
    }
}

fn read<T>(
    config: &mut Config,
    get: &impl Fn(&str) -> Option<String>,
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
    place: &mut T,
) {
    let Some(text) = get(key) else { return };
    match parse(text.trim()) {
        Some(value) => *place = value,
        None => warn(config, key, "a whole number"),
    }
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `key=value` pairs between commas; values are percent-encoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then_some(())?;
        Some((key.to_owned(), percent_decoded(value.trim())?))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(pair)
        .collect()
}

/// `None` for an escape that is none, or bytes that are no text.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        apply(&mut config, &|key: &str| {
            let found = variables.iter().find(|(known, _)| *known == key)?;
            Some(found.1.to_owned())
        });
        config
    }

    #[test]
    fn the_specification_s_variables_are_read() {
        let config = config(&[
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=no,host.name=a%20b,service.version=1.2",
            ),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_TRACES_EXPORTER", "otlp, console"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3Dt, x = y"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_PROPAGATORS", "b3,baggage"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "300"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2000"),
            (
                "OTEL_EXPORTER_JAEGER_ENDPOINT",
                "http://jaeger:14268/api/traces",
            ),
            ("OTEL_EXPORTER_JAEGER_USER", "ann"),
            ("OTEL_EXPORTER_JAEGER_PASSWORD", "pw"),
            (
                "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
                "http://z:9411/api/v2/spans",
            ),
            ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "700"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "80"),
        ]);
        assert_eq!(config.notices, Vec::<String>::new());
        assert_eq!(config.service.attributes["host.name"], "a b");
        assert_eq!(config.service.version.as_deref(), Some("1.2"));
        assert_ne!(config.service.name, "no");
        let traces = &config.traces;
        assert!(traces.enabled && traces.sampling.respects_parent);
        assert_eq!(
            traces.exporters,
            [TraceExporter::Otlp, TraceExporter::Console]
        );
        assert_eq!(traces.sampling.ratio, 0.25);
        assert_eq!(
            (traces.batch.queue_size, traces.batch.batch_size),
            (100, 100)
        );
        assert_eq!(traces.batch.delay, Duration::from_millis(250));
        assert_eq!(
            traces.otlp.endpoint.as_deref(),
            Some("http://collector:4318/v1/traces")
        );
        assert_eq!(traces.otlp.headers["api-key"].expose(), "s=t");
        assert_eq!(traces.otlp.headers["x"].expose(), "y");
        assert!(traces.jaeger.is_thrift());
        let logs = &traces.logs;
        assert!(logs.enabled && logs.batch.queue_size == 300 && logs.batch.batch_size == 300);
        assert_eq!(
            logs.otlp.endpoint.as_deref(),
            Some("http://collector:4318/v1/logs")
        );
        let push = &config.push;
        assert!(push.enabled && push.interval == Duration::from_secs(15));
        assert_eq!(
            push.otlp.endpoint.as_deref(),
            Some("http://collector:4318/v1/metrics")
        );
        assert_eq!(push.otlp.timeout, Duration::from_secs(2));
        assert_eq!(traces.otlp.timeout, Duration::from_secs(10));
        assert_eq!(traces.jaeger.user.as_deref(), Some("ann"));
        assert_eq!(traces.jaeger.password, Some("pw".into()));
        assert_eq!(traces.zipkin.endpoint, "http://z:9411/api/v2/spans");
        assert_eq!(traces.zipkin.timeout, Duration::from_millis(700));
        assert_eq!(traces.propagators, [Propagator::B3, Propagator::Baggage]);
        assert_eq!(traces.limits.value_length, Some(80));
    }

    #[test]
    fn a_bad_number_or_name_warns_and_keeps_the_default() {
        for (key, value) in [
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_PROPAGATORS", "smoke"),
            ("OTEL_TRACES_EXPORTER", "paper"),
            ("OTEL_METRICS_EXPORTER", "paper"),
            ("OTEL_LOGS_EXPORTER", "paper"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "soon"),
            ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "soon"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
        ] {
            let found = config(&[(key, value)]);
            assert!(
                found.notices.iter().any(|notice| notice.contains(key)),
                "{key}"
            );
            assert!(!found.notices.concat().contains("s3cret"));
            let mut quiet = found;
            quiet.notices.clear();
            assert_eq!(quiet, Config::default(), "{key}");
        }
    }

    #[test]
    fn off_is_off_whatever_else_is_said() {
        let of = |pairs: &[(&str, &str)]| config(pairs).traces.enabled;
        assert!(of(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!of(&[("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!of(&[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_SDK_DISABLED", "true")
        ]));
    }
}
