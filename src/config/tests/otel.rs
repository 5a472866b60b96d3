#[cfg(all(feature = "otlp", feature = "jaeger", feature = "zipkin"))]
use std::time::Duration;

use super::*;
#[cfg(all(feature = "otlp", feature = "jaeger", feature = "zipkin"))]
use crate::traces::{Propagator, TraceExporter};

fn config(variables: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    env::apply_opentelemetry(&mut config, &|key: &str| {
        let found = variables.iter().find(|(known, _)| *known == key)?;
        Some(found.1.to_owned())
    });
    config
}

/// The variables of OpenTelemetry may be meant for other programs, so they never prevent the start.
#[cfg(not(feature = "otlp"))]
#[test]
fn options_that_are_not_compiled_in_are_reported_and_ignored() {
    let found = config(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert!(!found.traces.enabled);
    assert!(found.notices.concat().contains("the feature `otlp`"));
}

#[cfg(all(feature = "otlp", feature = "jaeger", feature = "zipkin"))]
#[test]
fn the_variables_of_the_specification_are_applied() {
    let config = config(&[
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=no,host.name=a%20b,service.version=1.2",
        ),
        ("OTEL_SERVICE_NAME", "mine"),
        ("OTEL_TRACES_EXPORTER", "OTLP, Console"),
        ("OTEL_TRACES_SAMPLER", "ParentBased_TraceIDRatio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3Dt, x = y"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_PROPAGATORS", "B3,baggage"),
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

/// OTLP exporter specification, "Configuration Options": a variable of one signal overrides the variable of all
/// signals.
#[test]
fn certificate_files_can_be_set_for_each_signal() {
    let config = config(&[
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "mine.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "mine.key"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "traces.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "traces.key"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "metrics-ca.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "logs.key"),
    ]);
    assert_eq!(config.notices, Vec::<String>::new());
    let traces = &config.traces;
    for (otlp, expected) in [
        (&traces.otlp, ["ca.pem", "traces.pem", "traces.key"]),
        (
            &config.push.otlp,
            ["metrics-ca.pem", "mine.pem", "mine.key"],
        ),
        (&traces.logs.otlp, ["ca.pem", "mine.pem", "logs.key"]),
    ] {
        let files = [
            &otlp.certificate,
            &otlp.client_certificate,
            &otlp.client_key,
        ];
        assert_eq!(
            files.map(|file| file.clone().unwrap()),
            expected.map(Into::<std::path::PathBuf>::into)
        );
    }
}

#[test]
fn an_argument_without_a_sampler_applies_to_the_default_sampler() {
    let alone = config(&[("OTEL_TRACES_SAMPLER_ARG", "0.1")]);
    assert_eq!(alone.traces.sampling.ratio, 0.1);
    let other = [
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
    ];
    assert_eq!(config(&other).traces.sampling.ratio, 1.0);
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
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Basic s3cret="),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://${COLLECTOR}:4318"),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "http://ann:s3cret@collector",
        ),
        ("OTEL_EXPORTER_JAEGER_ENDPOINT", "jaeger:4317"),
        ("OTEL_EXPORTER_JAEGER_USER", "a:s3cret"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "zipkin"),
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_PROPAGATORS", "smoke"),
        ("OTEL_TRACES_EXPORTER", "paper"),
        ("OTEL_METRICS_EXPORTER", "paper"),
        ("OTEL_LOGS_EXPORTER", "paper"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "soon"),
        ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "soon"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%+4"),
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
fn a_disabled_signal_stays_disabled_whatever_the_other_variables() {
    let of = |pairs: &[(&str, &str)]| config(pairs).traces.enabled;
    let is_compiled_in = cfg!(feature = "otlp");
    assert_eq!(of(&[("OTEL_TRACES_EXPORTER", "otlp")]), is_compiled_in);
    assert!(!of(&[("OTEL_TRACES_EXPORTER", "none")]));
    assert!(!of(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_SDK_DISABLED", "true")
    ]));
}
