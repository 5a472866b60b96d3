//! Checks exported configurations with Alertmanager's and Prometheus's own tools.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use llm_observatory::{
    Config, Observatory, Preset,
    alerting::{
        AlertRule, ChannelConfig, ChannelTraits, Escalation, ExportedChannel, Receiver, Router,
        Routing, SimpleRule, WebhookOptions,
    },
};

use crate::notify_support::{Directory, program};

const TREE: &str = r#"
route:
  receiver: default
  group_by: [alertname, model_id]
  routes:
    - matchers: ['team=~"ml|web"', 'env!=dev', 'quote="a\"b\\c"']
      receiver: ml
      continue: true
      group_wait: 1m30s
      routes:
        - matchers: [severity=critical]
          receiver: ml
          group_by: ['...']
          mute_time_intervals: [nights]
          active_time_intervals: [office]
inhibit_rules:
  - { source_matchers: ['severity="critical"'], target_matchers: ['severity=~"warning|info"'], equal: [alertname] }
receivers:
  - { name: default, channels: [hook] }
  - { name: ml, channels: [hook, pager] }
time_intervals:
  - name: nights
    time_intervals:
      - { times: [{ start_time: '00:00', end_time: '06:00' }], location: Europe/Berlin }
  - name: office
    time_intervals:
      - { weekdays: ['monday:friday'], days_of_month: ['1:-1'], months: ['january:march', '5'], years: ['2026:2030'] }
      - {}
"#;

#[test]
fn amtool_accepts_the_exported_configuration() {
    let Some(amtool) = program("amtool") else {
        return;
    };
    let mut routing: Routing = serde_saphyr::from_str(TREE).unwrap();
    routing = routing.with_rules(&[
        SimpleRule::new("high_error_rate", ["hook", "pager"])
            .with_aggregation("error_rate", Duration::from_mins(5))
            .with_escalation(Escalation::after(Duration::from_mins(15)).with_step(["pager"])),
        SimpleRule::new("odd \"name\" (1.0)", ["hook"]),
    ]);
    routing = routing.with_receiver(Receiver::new("nobody", Vec::<String>::new()));
    let traits = ["hook", "pager"].map(|name| (name.to_owned(), ChannelTraits::default()));
    Router::new(&routing, traits.into()).unwrap();
    let hook = ExportedChannel::Webhook {
        urls: vec![
            "http://127.0.0.1:1/a".to_owned(),
            "http://127.0.0.1:1/b".to_owned(),
        ],
        send_resolved: true,
        max_alerts: 20,
    };
    let channels = BTreeMap::from([
        ("hook".to_owned(), hook),
        ("pager".to_owned(), ExportedChannel::LeftOut),
    ]);
    let text = routing.to_alertmanager_yaml(&channels).unwrap();
    let directory = Directory::new("export");
    let file = directory.path().join("alertmanager.yml");
    fs::write(&file, &text).unwrap();
    let output = Command::new(&amtool)
        .arg("check-config")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{complained}\n{text}");
    assert!(
        said.contains("5 receivers") && said.contains("1 inhibit rules"),
        "{said}"
    );

    // amtool's routes equal ours.
    for labels in [
        "alertname=high_error_rate",
        "team=ml severity=critical quote=a\"b\\c",
        "team=ops",
    ] {
        let pairs = labels.split(' ').map(|pair| pair.split_once('=').unwrap());
        let set = llm_observatory::query::Labels::from_pairs(pairs);
        let traits = ["hook", "pager"].map(|name| (name.to_owned(), ChannelTraits::default()));
        let router = Router::new(&routing, traits.into()).unwrap();
        let output = Command::new(&amtool)
            .args(["config", "routes", "test", "--config.file"])
            .arg(&file)
            .args(labels.split(' ').map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                format!("{name}={value:?}")
            }))
            .output()
            .unwrap();
        let theirs = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(router.receivers_of(&set).join(","), theirs, "{labels}");
    }
}

#[test]
fn prometheus_and_alertmanager_accept_exported_files() {
    let directory = Directory::new("facade");
    let rule = AlertRule::new("token_limit")
        .expr("sum(increase(llm_router_tokens_generated_total[10m])) > 1e6")
        .hold_for(Duration::from_mins(1))
        .channels(["hook"])
        .escalation(Escalation::after(Duration::from_mins(15)).with_step(["hook"]));
    let hook = WebhookOptions::new(["https://hooks.example/secret-path"]);
    let config = Config::preset(Preset::Production)
        .with_channel("hook", ChannelConfig::webhook(hook))
        .with_rule(rule)
        .with_data_dir(directory.path().join("data"))
        .without_server();
    let (_layer, observatory) = Observatory::builder(config)
        .build::<tracing_subscriber::Registry>()
        .unwrap();
    let alerts = observatory.alerts();
    let check = |name: &str, arguments: &[&str], file: &str, text: &str| {
        assert!(!text.contains("secret-path"), "{text}");
        let Some(program) = program(name) else {
            return;
        };
        let path = directory.path().join(file);
        fs::write(&path, text).unwrap();
        let output = Command::new(program)
            .args(arguments)
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{complained}\n{text}");
    };
    let rules = alerts.export_rules().yaml;
    assert!(rules.contains("token_limit") && rules.contains("high_error_rate"));
    check("promtool", &["check", "rules"], "rules.yml", &rules);
    let routes = alerts.export_routing().unwrap();
    check("amtool", &["check-config"], "alertmanager.yml", &routes);
}
