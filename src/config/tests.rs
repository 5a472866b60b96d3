//! Tests of the errors that an invalid configuration gives.

#[cfg(feature = "config-file")]
mod layers;
mod otel;

use super::*;
use crate::traces::JaegerConfig;
#[cfg(feature = "otlp")]
use crate::traces::OtlpProtocol;

/// Asserts that the configuration is refused, and that the error names the key and the value.
fn check_refused(config: &Config, key: &str, value: &str) {
    let error = config.validate().expect_err(key).to_string();
    assert!(error.contains(key) && error.contains(value), "{error}");
}

#[test]
fn every_preset_is_valid() {
    for preset in Preset::ALL {
        Config::preset(preset).validate().unwrap();
    }
    Config::default().validate().unwrap();
}

#[test]
fn an_invalid_value_is_named() {
    let config = Config::default;
    check_refused(
        &config().with_prefix("9lives_"),
        "prometheus.prefix",
        "9lives_",
    );
    check_refused(
        &config().with_prefix("my-router-"),
        "prometheus.prefix",
        "my-router-",
    );
    check_refused(&config().with_tick(Duration::from_millis(1)), "tick", "1ms");
    check_refused(
        &config().with_series_limit(0),
        "prometheus.series_limit",
        "0",
    );
    check_refused(&config().with_label("le", "x"), "prometheus.labels", "le");
    let mut unclosed = config().without_traces();
    unclosed.traces.redaction.patterns = vec!["(".to_owned()];
    check_refused(&unclosed, "traces.redaction.patterns", "(");
    check_refused(
        &config().with_buckets(BucketsFor::Suffix("_seconds".into()), [2.0, 1.0]),
        "_seconds",
        "1",
    );
    check_refused(
        &config().with_span_name("generate", "inferense"),
        "mapping.spans",
        "inferense",
    );
    check_refused(
        &config().with_field_name("llm", "modelid"),
        "mapping.fields",
        "modelid",
    );
    for timeout in [Duration::ZERO, Duration::from_secs(3_601)] {
        let mut config = config();
        config.shutdown_timeout = timeout;
        check_refused(&config, "shutdown_timeout", &format!("{timeout:?}"));
    }
    for timeout in [Duration::from_nanos(1), Duration::from_hours(1)] {
        let mut config = config();
        config.shutdown_timeout = timeout;
        config.validate().unwrap();
    }
    // Without alerting, the retention is not checked.
    if cfg!(feature = "alerting") {
        let coarse = |time| {
            let mut config = config();
            config.query.retention.coarse_time = time;
            config
        };
        let short = coarse(Duration::from_secs(59));
        check_refused(&short, "query.retention.coarse_time", "59s");
        for time in [Duration::ZERO, Duration::from_mins(1)] {
            coarse(time).validate().unwrap();
        }
        check_refused(
            &config().with_retention(Duration::from_secs(1), 64 << 20),
            "query.retention.time",
            "1s",
        );
        check_refused(
            &config().with_retention(Duration::from_hours(1), 64),
            "query.retention.bytes",
            "64",
        );
    }
    #[cfg(feature = "alerting")]
    {
        let mut empty = config();
        empty.alerting.max_history = 0;
        check_refused(&empty, "alerting.max_history", "0");
    }
    if cfg!(feature = "otlp") {
        let mut sampled = config().with_trace_exporters([]);
        sampled.traces.sampling.rules = [1.0, 1.5].map(crate::traces::SamplingRule::new).into();
        check_refused(&sampled, "traces.sampling.rules[1].ratio", "1.5");
        let tail = |tail| config().with_trace_exporters([]).with_tail_sampling(tail);
        let default = TailConfig::default;
        check_refused(&tail(default().with_ratio(1.5)), "traces.tail.ratio", "1.5");
        let slow = default().with_slow("inferense", Duration::ZERO);
        check_refused(&tail(slow), "traces.tail.slow", "inferense");
        let small = default().with_bounds(Duration::from_secs(1), 5);
        check_refused(&tail(small), "traces.tail.bytes", "5");
    }
    let mut same = config();
    same.health.endpoint = "/metrics".into();
    check_refused(&same, "different paths", "/metrics");
}

/// Every invalid part of an address is refused under its own key, with a matching example, and the error shows no
/// secret.
#[cfg(feature = "otlp")]
#[test]
fn an_address_that_cannot_be_used_is_refused_under_its_own_key() {
    let all = [
        TraceExporter::Otlp,
        TraceExporter::Jaeger,
        TraceExporter::Zipkin,
    ];
    let exporters = &all[..if cfg!(feature = "zipkin") { 3 } else { 2 }];
    let with = |set: &dyn Fn(&mut Config)| {
        let mut config = Config::default().with_trace_exporters(exporters);
        config.traces.logs.enabled = true;
        config.push.enabled = true;
        set(&mut config);
        config.validate().unwrap_err().to_string()
    };
    for wrong in [
        "http://${COLLECTOR}:4318/v1/traces",
        "http://[::1:4318/v1/traces",
        "http://a:b:c/v1/traces",
        "collector:4318",
    ] {
        let text = || Some(wrong.to_owned());
        for (error, key, right) in [
            (
                with(&|config| config.traces.otlp.endpoint = text()),
                "traces.otlp.endpoint",
                "http://collector:4318/v1/traces",
            ),
            (
                with(&|config| config.traces.logs.otlp.endpoint = text()),
                "traces.logs.otlp.endpoint",
                "http://collector:4318/v1/logs",
            ),
            (
                with(&|config| config.push.otlp.endpoint = text()),
                "push.otlp.endpoint",
                "http://collector:4318/v1/metrics",
            ),
            (
                with(&|config| config.traces.jaeger.endpoint = wrong.into()),
                "traces.jaeger.endpoint",
                "http://jaeger:4317",
            ),
        ] {
            let shown = format!("{key} is {wrong:?}, but must be ");
            assert!(
                error.starts_with(&shown) && error.contains(right),
                "{error}"
            );
        }
        if cfg!(feature = "zipkin") {
            let error = with(&|config| config.traces.zipkin.endpoint = wrong.into());
            let right = "http://zipkin:9411/api/v2/spans";
            assert!(
                error.contains("traces.zipkin.endpoint") && error.contains(right),
                "{error}"
            );
        }
    }
    let secret = with(&|config| {
        config.traces.otlp.endpoint = Some("http://ann:s3cret@collector:4318".into());
    });
    assert!(
        secret.contains("***@collector:4318") && !secret.contains("s3cret"),
        "{secret}"
    );
    let small = with(&|config| config.traces.otlp.request_bytes = 4);
    assert!(
        small.starts_with("traces.otlp.request_bytes is 4, but must be at least 65536"),
        "{small}"
    );
    let content = with(&|config| {
        let key = "-----BEGIN PRIVATE KEY-----\ns3cret";
        config.traces.otlp.client_key = Some(key.into());
        config.traces.otlp.client_certificate = Some("client.pem".into());
    });
    assert_eq!(
        content,
        "traces.otlp.client_key is \"***\", but must be the path of a file, not what is in it"
    );
    let half = with(&|config| config.push.otlp.client_key = Some("client.key".into()));
    assert_eq!(
        half,
        "push.otlp.client_key is set, but push.otlp.client_certificate, which goes with it, is not"
    );
    let half =
        with(&|config| config.traces.logs.otlp.client_certificate = Some("client.pem".into()));
    assert_eq!(
        half,
        "traces.logs.otlp.client_certificate is set, but traces.logs.otlp.client_key, which goes with it, is not"
    );
    // gRPC uses the path for the names of methods.
    let path = with(&|config| {
        config.traces.otlp.protocol = OtlpProtocol::Grpc;
        config.traces.otlp.endpoint = Some("http://collector:4317/v1/traces".into());
    });
    assert!(path.contains("without a path"), "{path}");
}

#[test]
fn a_path_selects_thrift_and_loses_its_trailing_slash() {
    let mut jaeger = JaegerConfig::default();
    assert!(!jaeger.is_thrift());
    for (endpoint, shown) in [
        ("http://j:14268/api/traces", "http://j:14268/api/traces"),
        ("http://j:14268/api/traces/", "http://j:14268/api/traces"),
        (
            "http://j:14268/api/traces?format=jaeger.thrift",
            "http://j:14268/api/traces",
        ),
    ] {
        jaeger.endpoint = endpoint.to_owned();
        assert!(jaeger.is_thrift(), "{endpoint}");
        assert_eq!(jaeger.address().unwrap().to_string(), shown);
    }
}

#[cfg(feature = "alerting")]
#[test]
fn a_client_certificate_of_channels_needs_its_key() {
    let mut config = Config::default();
    config.alerting.http.client_certificate = Some("client.pem".into());
    check_refused(
        &config,
        "alerting.http.client_certificate",
        "alerting.http.client_key",
    );
    config.alerting.http.client_key = Some("client.key".into());
    config.validate().unwrap();
    config.alerting.http.client_certificate = None;
    check_refused(
        &config,
        "alerting.http.client_key",
        "alerting.http.client_certificate",
    );
}

#[cfg(all(feature = "server", feature = "alerting"))]
#[test]
fn the_limits_of_the_server_are_checked() {
    for (host, is_valid) in [
        ("router", true),
        ("router:9090", true),
        ("*", true),
        ("", false),
        ("http://router", false),
    ] {
        let config = Config::default().with_allowed_hosts([host]);
        if is_valid {
            config.validate().unwrap();
        } else {
            check_refused(&config, "server.allowed_hosts", &format!("{host:?}"));
        }
    }
    let with = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config
    };
    let none = with(|config| config.server.max_connections = 0);
    check_refused(&none, "server.max_connections", "0");
    let short = with(|config| config.server.read_timeout = Duration::from_millis(99));
    check_refused(&short, "server.read_timeout", "99ms");
    let short = with(|config| config.server.write_timeout = Duration::from_millis(99));
    check_refused(&short, "server.write_timeout", "99ms");
    let small = with(|config| config.query.max_memory = (1 << 20) - 1);
    check_refused(&small, "query.max_memory", "1048575");
    with(|config| {
        config.server.max_connections = 1;
        config.server.read_timeout = Duration::from_millis(100);
        config.server.write_timeout = Duration::from_millis(100);
        config.query.max_memory = 1 << 20;
    })
    .validate()
    .unwrap();
}

#[test]
fn presets_have_the_thresholds_of_health_of_the_documentation() {
    let rows = [
        (Preset::Development, 5, [90.0, 90.0, 95.0, 0.1, 10.0]),
        (Preset::Production, 10, [80.0, 85.0, 90.0, 0.05, 5.0]),
        (Preset::Vps, 15, [85.0, 80.0, 90.0, 0.05, 8.0]),
        (Preset::Enterprise, 30, [75.0, 80.0, 85.0, 0.01, 3.0]),
    ];
    for (preset, interval, expected) in rows {
        let health = Config::preset(preset).health;
        let found = health.thresholds;
        assert_eq!(health.interval.as_secs(), interval, "{preset:?}");
        let response_time = found.response_time.as_secs_f64();
        let found = [
            found.cpu_percent,
            found.memory_percent,
            found.disk_percent,
            found.error_rate,
            response_time,
        ];
        assert_eq!(found, expected, "{preset:?}");
        assert_eq!(health.validate(), Ok(()));
    }
    let base = Config::default().health;
    assert_eq!(base, Config::preset(Preset::Production).health);
}
