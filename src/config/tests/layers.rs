//! Tests of the layers: defaults or preset, file, environment, code.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::*;
use crate::config::{compose::compose, file::FileText, tree};

/// The environment and the file of a test.
fn load_with(variables: &[(&'static str, &'static str)], yaml: &str) -> Result<Config, String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    compose(&variables, Some(file(yaml)))
        .into_result()
        .map_err(|error| error.to_string())
}

fn file(yaml: &str) -> FileText {
    FileText {
        path: Arc::new(PathBuf::from("observatory.yaml")),
        text: yaml.to_owned(),
    }
}

fn load(yaml: &str) -> Result<Config, String> {
    load_with(&[], yaml)
}

#[track_caller]
fn check_error(yaml: &str, expected: &str) {
    let error = load(yaml).expect_err(yaml);
    assert_eq!(error, expected, "{yaml}");
}

#[test]
fn every_configuration_survives_the_way_through_the_tree() {
    let configs = Preset::ALL.map(Config::preset).into_iter();
    for mut config in configs.chain([Config::default()]) {
        config.traces.tail = Some(TailConfig::default().with_attribute("tenant", "beta-*"));
        config.prometheus.gen_ai = None;
        config.prometheus.idle_timeout = Some(Duration::from_millis(90_500));
        config = config.with_buckets(BucketsFor::Suffix("_seconds".into()), [0.1, 1.0]);
        let node = tree::to_tree(&config, &Origin::Default);
        assert_eq!(tree::from_tree::<Config>(&node).unwrap(), config);
    }
}

#[test]
fn the_environment_overrides_the_file_and_the_file_overrides_the_preset() {
    let variables = [
        ("OBSERVATORY_ENV", "production"),
        ("OBSERVATORY_TICK", "2s"),
    ];
    let yaml = "tick: 3s\nprometheus:\n  prefix: mine_\n  labels:\n    teamName: ml\n";
    let config = load_with(&variables, yaml).unwrap();
    assert_eq!(config.tick, Duration::from_secs(2));
    assert_eq!(config.prometheus.prefix, "mine_");
    assert_eq!(config.prometheus.labels["teamName"], "ml");
    assert!((config.traces.sampling.ratio - 0.1).abs() < 1e-9);
    let text = config.with_service_name("coded").print();
    for (key, value, origin) in [
        ("tick", "2s", "OBSERVATORY_TICK"),
        ("prefix", "mine_", "observatory.yaml:3"),
        ("teamName", "ml", "observatory.yaml:5"),
        ("ratio", "0.1", "preset production"),
        ("environment", "production", "preset production"),
        ("name", "coded", "code"),
        ("max_query_bytes", "16384", "default"),
    ] {
        let line = format!("{key}: {value} ");
        let found = text
            .lines()
            .find(|found| found.trim_start().starts_with(&line));
        let found = found.unwrap_or_else(|| panic!("{line} in\n{text}"));
        assert!(found.ends_with(&format!("# {origin}")), "{found}");
    }
}

#[test]
fn the_printed_configuration_loads_to_the_same_configuration() {
    for preset in Preset::ALL {
        let expected = Config::preset(preset).with_label("a", "b");
        let printed = expected.print();
        let read = load_with(&[("OBSERVATORY_ENV", preset.as_str())], &printed);
        assert_eq!(read.as_ref(), Ok(&expected), "{printed}");
    }
}

#[test]
fn keys_in_camel_case_and_of_the_javascript_system_are_accepted() {
    let config = load(
        "autoStart: false\nopentelemetry:\n  serviceName: js\n  resource: {team: ml}\n  tracing:\n    sampling: 0.25\n    batch: {queueSize: 4096}\nprometheus: {port: 9100, seriesLimit: 7}\nquery: {maxQueryBytes: 5}\ntick: 2500\n",
    )
    .unwrap();
    assert!(!config.auto_start);
    assert_eq!(config.service.name, "js");
    assert_eq!(config.service.attributes["team"], "ml");
    assert!((config.traces.sampling.ratio - 0.25).abs() < 1e-9);
    assert_eq!(config.traces.batch.queue_size, 4_096);
    assert_eq!(config.prometheus.listen.to_string(), "127.0.0.1:9100");
    assert_eq!(config.prometheus.series_limit, 7);
    assert_eq!(config.query.max_query_bytes, 5);
    // A number without a unit counts milliseconds, as in the JavaScript system.
    assert_eq!(config.tick, Duration::from_millis(2_500));
}

#[test]
fn variables_are_replaced_and_hidden_in_errors() {
    let variables = [("PREFIX", "9secret_"), ("REGION", "eu")];
    let yaml = "prometheus:\n  labels: {region: \"x\", zone: a}\n  prefix: ${PREFIX}\nservice:\n  name: ${NAME:-fallback}\n  version: ${REGION}\n";
    let error = load_with(&variables, yaml).unwrap_err();
    let expected = "observatory.yaml:3: prometheus.prefix is \"${PREFIX}\", but must be";
    assert!(error.starts_with(expected), "{error}");
    let right = [("PREFIX", "nine_"), ("REGION", "eu")];
    let config = load_with(&right, yaml).unwrap();
    assert_eq!(config.service.name, "fallback");
    assert_eq!(config.service.version.as_deref(), Some("eu"));
    let quoted = load_with(&right, "service:\n  version: \"${REGION}\"\n").unwrap();
    assert_eq!(quoted.service.version.as_deref(), Some("${REGION}"));
    assert!(
        quoted.notices[0].contains("observatory.yaml:2") && quoted.notices[0].contains("quotes")
    );
    let unset = load("service:\n  version: ${UNSET_VARIABLE}\n").unwrap_err();
    assert!(
        unset.contains("observatory.yaml:2") && unset.contains("UNSET_VARIABLE"),
        "{unset}"
    );
}

#[test]
fn all_problems_are_reported_at_once_with_their_places() {
    let variables = [
        ("OBSERVATORY_TICK", "soon"),
        ("OBSERVATORY_SERIES_LIMIT", "0"),
    ];
    let yaml = "tick: 1ms\nprometheus:\n  prefx: a_\n  prefix: 9_\nservice:\n  name: \"\"\n";
    let error = load_with(&variables, yaml).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "observatory.yaml:3: prometheus.prefx is not a key of the configuration; did you mean `prefix`?",
            "OBSERVATORY_TICK is \"soon\", but must be a duration with its unit, for example `10s`, `500ms` or `5m`",
            "observatory.yaml:1: tick is 1ms, but must be at least 100ms",
            "observatory.yaml:6: service.name is \"\", but must be a name",
            "observatory.yaml:4: prometheus.prefix is \"9_\", but must be made of letters, digits and underscores, and not beginning with a digit; for example `my_service_`",
            "prometheus.series_limit is 0, but must be from 1 to 1000000 (from OBSERVATORY_SERIES_LIMIT)",
        ]
    );
}

#[test]
fn typical_mistakes_have_errors_with_place_key_value_and_remedy() {
    for (yaml, expected) in [
        (
            "prometeus: {}\n",
            "observatory.yaml:1: prometeus is not a key of the configuration; did you mean `prometheus`?",
        ),
        (
            "prometheus:\n  lable: {}\n",
            "observatory.yaml:2: prometheus.lable is not a key of the configuration; did you mean `labels`?",
        ),
        (
            "tick: 10 apples\n",
            "observatory.yaml:1: tick is \"10 apples\", but must be a duration with its unit, for example `10s`, `500ms` or `5m`",
        ),
        (
            "tick: [1]\n",
            "observatory.yaml:1: tick is a list of 1 values, but must be a duration with its unit, for example `10s`, `500ms` or `5m`",
        ),
        (
            "enabled: maybe\n",
            "observatory.yaml:1: enabled is \"maybe\", but must be `true` or `false`",
        ),
        (
            "prometheus:\n  series_limit: many\n",
            "observatory.yaml:2: prometheus.series_limit is \"many\", but must be a whole number",
        ),
        (
            "prometheus:\n  series_limit: -1\n",
            "observatory.yaml:2: prometheus.series_limit is -1, but must be a whole number from 0",
        ),
        (
            "prometheus:\n  prefix: 5\n",
            "observatory.yaml:2: prometheus.prefix is 5, but must be a text; put it in quotes",
        ),
        (
            "prometheus:\n  listen: localhost\n",
            "observatory.yaml:2: prometheus.listen: invalid socket address syntax",
        ),
        (
            "prometheus: 9090\n",
            "observatory.yaml:1: prometheus is 9090, but must be a map of keys and values",
        ),
        (
            "log_format: fancy\n",
            "observatory.yaml:1: log_format is \"fancy\", but must be `pretty` or `json`",
        ),
        (
            "prometheus:\n  gen_ai: both\n",
            "observatory.yaml:2: prometheus.gen_ai is \"both\", but must be `client`, `server` or `off`",
        ),
        (
            "preset: staging\n",
            "observatory.yaml:1: preset is \"staging\", but must be `development`, `production`, `vps` or `enterprise`",
        ),
        (
            "preset: [vps, production]\n",
            "observatory.yaml:1: preset is a list of 2 values, but must be `development`, `production`, `vps` or `enterprise`",
        ),
        (
            "- a\n",
            "observatory.yaml:1: the configuration file is a list of 1 values, but must be a map of sections such as `prometheus:`",
        ),
        (
            "shutdown_timeout: 2h\n",
            "observatory.yaml:1: shutdown_timeout is 7200s, but must be a duration above 0s and at most 1h",
        ),
        (
            "prometheus:\n  buckets: [{upper: [1]}]\n",
            "observatory.yaml:2: prometheus.buckets: needs one of `name`, `prefix` and `suffix`, for example `{suffix: _seconds, upper: [0.1, 1]}`",
        ),
        (
            "mapping:\n  spans: {generate: inferense}\n",
            "observatory.yaml:2: mapping.spans is (\"generate\", \"inferense\"), but must be mapped to a span name of the table in the documentation, for example `inference`",
        ),
    ] {
        check_error(yaml, expected);
    }
    let invalid = load("tick: 1s\n  prefix: [\n").unwrap_err();
    assert!(
        invalid.starts_with("observatory.yaml:") && invalid.contains("not valid YAML"),
        "{invalid}"
    );
    let twice = load("tick: 1s\ntick: 2s\n").unwrap_err();
    assert!(twice.contains("tick"), "{twice}");
}

#[test]
fn components_are_switched_off_by_their_switch_or_their_section() {
    let config =
        load("components: {prometheus: false, opentelemetry: false, alerting: false}\n").unwrap();
    assert!(!config.prometheus.enabled && !config.traces.enabled);
    #[cfg(feature = "alerting")]
    assert!(!config.alerting.enabled);
    let config = load("components: {health: true}\nhealth: {enabled: false}\n").unwrap();
    assert!(!config.health.enabled, "both must be on");
    check_error(
        "components: {helth: true}\n",
        "observatory.yaml:1: components is not a key of the configuration",
    );
}

#[test]
fn an_empty_value_removes_an_entry_of_a_map() {
    let yaml = "prometheus:\n  labels: {a: null, b: x}\n";
    assert_eq!(load(yaml).unwrap().prometheus.labels.len(), 1);
    #[cfg(feature = "alerting")]
    {
        let config = load("alerting:\n  channels:\n    console:\n").unwrap();
        assert!(config.alerting.channels.is_empty());
    }
}

#[cfg(feature = "alerting")]
mod alerting {
    use super::*;
    use crate::alerting::ChannelKind;

    #[test]
    fn typical_mistakes_of_alerts_have_errors_with_place_key_value_and_remedy() {
        for (yaml, expected) in [
            (
                "alerting:\n  channels:\n    slak: {url: x}\n",
                "observatory.yaml:3: alerting.channels.slak.kind is a map with slak",
            ),
            (
                "alerting:\n  channels:\n    ops:\n      kind: slack\n      chanel: \"#ops\"\n",
                "observatory.yaml:5: alerting.channels.ops.chanel is not a key of the configuration; did you mean `channel`?",
            ),
            (
                "alerting:\n  channels:\n    slack:\n      routing_key_file: /nonexistent\n",
                "observatory.yaml:4: alerting.channels.slack.routing_key_file is not a key",
            ),
            (
                "alerting:\n  channels:\n    slack:\n      webhook_url_file: /nonexistent\n",
                "observatory.yaml:4: alerting.channels.slack.webhook_url_file is \"/nonexistent\" (No such file or directory (os error 2)), but must be the path of a file that can be read",
            ),
            (
                "alerting:\n  channels:\n    slack:\n      url: https://hooks.example/x\n      fallback: mail\n",
                "observatory.yaml:5: alerting.channels.slack.fallback is Some(\"mail\"), but must be the name of another channel",
            ),
            (
                "alerting:\n  aggregation_window: 10\n",
                "observatory.yaml:2: alerting.aggregation_window is 10ms, but must be at least 1s",
            ),
            (
                "alerting:\n  http: {timeout: 1m}\n",
                "observatory.yaml:2: alerting.http.timeout is 60s, but must be from 1ms to 20s",
            ),
            (
                "alerting:\n  trace_url: jaeger\n",
                "observatory.yaml:2: alerting.trace_url is \"jaeger\", but must be a URL without user and password that contains `{trace_id}`, for example `http://jaeger:16686/trace/{trace_id}`",
            ),
            (
                "alerting:\n  routing:\n    route: {group_wait: soon}\n",
                "observatory.yaml:3: alerting.routing.route.group_wait: duration is \"soon\", but must be a duration such as `30s` or `5m`",
            ),
            (
                "alerting:\n  rules:\n    - alert: A\n      expr: up >\n",
                "observatory.yaml:2: alerting.rules: ",
            ),
            (
                "alerting:\n  rules:\n    - record: a\n      expr: up\n",
                "observatory.yaml:2: alerting.rules: has a recording rule; write recording rules in `alerting.rule_groups`",
            ),
            (
                "alerting:\n  api_token: \"\"\n",
                "observatory.yaml:2: alerting.api_token is \"empty\", but must be a non-empty token, or no token",
            ),
            (
                "query:\n  retention: {time: 1s}\n",
                "observatory.yaml:2: query.retention.time is 1s, but must be at least ten ticks",
            ),
        ] {
            let error = load(yaml).expect_err(yaml);
            assert!(error.starts_with(expected), "{error}\n{expected}");
        }
    }

    #[test]
    fn the_vps_configuration_of_the_javascript_system_does_what_it_says() {
        let variables = [("MONITORING_WEBHOOK_URL", "https://hooks.example/x")];
        let config = load_with(&variables, "enabled: true\nautoStart: true\ncomponents:\n  opentelemetry: true\n  prometheus: true\n  health: true\n  profiler: false\n  alerting: true\nprometheus:\n  port: 9090\n  endpoint: /metrics\n  prefix: llm_router_vps_\nalerting:\n  channels:\n    webhook:\n      enabled: true\n      urls:\n        - ${MONITORING_WEBHOOK_URL}\n").unwrap();
        assert_eq!(config.prometheus.prefix, "llm_router_vps_");
        let ChannelKind::Webhook(webhook) = &config.alerting.channels["webhook"].kind else {
            panic!("no webhook");
        };
        assert_eq!(webhook.urls[0].expose(), "https://hooks.example/x");
        let text = config.print();
        assert!(!text.contains("hooks.example"), "{text}");
    }

    #[test]
    fn the_production_configuration_of_the_javascript_system_does_what_it_says() {
        let key = "0123456789abcdef0123456789abcdef";
        let variables = [
            ("SLACK_URL", "https://hooks.example/s"),
            ("PAGER_KEY", key),
            ("OBSERVATORY_ENV", "production"),
        ];
        let config = load_with(&variables, "enabled: true\ncomponents: {opentelemetry: true, prometheus: true, health: true, profiler: false, alerting: true}\nopentelemetry:\n  tracing:\n    exporters: [jaeger]\n    sampling: 0.1\nalerting:\n  channels:\n    slack:\n      enabled: true\n      webhookUrl: ${SLACK_URL}\n      channel: '#alerts'\n    pagerduty:\n      enabled: true\n      routingKey: ${PAGER_KEY}\n").unwrap();
        let ChannelKind::Slack(slack) = &config.alerting.channels["slack"].kind else {
            panic!("no Slack");
        };
        assert_eq!(
            (slack.url.expose(), slack.channel.as_str()),
            ("https://hooks.example/s", "#alerts")
        );
        let ChannelKind::PagerDuty(pager) = &config.alerting.channels["pagerduty"].kind else {
            panic!("no PagerDuty");
        };
        assert_eq!(pager.routing_key.expose(), key);
        assert_eq!(config.traces.exporters, [TraceExporter::Jaeger]);
    }

    #[test]
    fn a_secret_can_be_read_from_a_file_and_a_channel_can_have_any_name() {
        let path = std::env::temp_dir().join(format!("observatory-yaml-{}", std::process::id()));
        std::fs::write(&path, "https://hooks.example/secret\n").unwrap();
        let yaml = format!(
            "alerting:\n  channels:\n    ops:\n      kind: slack\n      send_resolved: false\n      url_file: {}\n",
            path.display()
        );
        let found = load(&yaml);
        std::fs::remove_file(&path).unwrap();
        let ops = found.unwrap().alerting.channels["ops"].clone();
        assert!(!ops.send_resolved);
        let ChannelKind::Slack(slack) = ops.kind else {
            panic!("no Slack");
        };
        assert_eq!(slack.url.expose(), "https://hooks.example/secret");
    }

    #[test]
    fn rules_and_routes_of_the_file_are_those_of_prometheus_and_alertmanager() {
        let config = load("alerting:\n  rules:\n    - alert: Slow\n      expr: up == 0\n      for: 5m\n      labels: {severity: critical}\n  rule_groups:\n    - name: g\n      rules:\n        - record: a:b\n          expr: sum(up)\n  routes:\n    route: {receiver: ops, group_by: [alertname], group_wait: 10s}\n    receivers: [{name: ops, channels: [console]}]\n").unwrap();
        assert_eq!(config.alerting.rules[0].expression(), Some("up == 0"));
        assert_eq!(config.alerting.rule_groups[0].name, "g");
        let routing = config.alerting.routing.as_ref().unwrap();
        assert_eq!(routing.route.group_wait, Some(Duration::from_secs(10)));
        assert!(load(&config.print()).is_ok(), "{}", config.print());
    }
}
