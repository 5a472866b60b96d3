use super::*;
use crate::alerting::{ChannelTraits, Receiver, Route};

const TREE: &str = r#"
route:
  receiver: default
  group_by: [alertname]
  group_wait: 10s
  routes:
    - matchers: ['team="ml"']
      receiver: ml
      continue: true
      routes:
        - matchers: [severity=critical]
          receiver: pager
          group_by: ['...']
          mute_time_intervals: [nights]
    - matchers: ['team=~"ml|web"', 'env!=dev']
      receiver: web
      repeat_interval: 1h
receivers:
  - { name: default, channels: [hook] }
  - { name: ml, channels: [hook] }
  - { name: pager, channels: [pager, hook] }
  - { name: web, channels: [] }
time_intervals:
  - name: nights
    time_intervals:
      - times: [{ start_time: '00:00', end_time: '06:00' }]
"#;

fn channels() -> Channels {
    Channels::from([
        (
            "hook".to_owned(),
            ChannelTraits::default().with_destinations(2),
        ),
        ("pager".to_owned(), ChannelTraits::default()),
    ])
}

fn parse(text: &str) -> Routing {
    serde_saphyr::from_str(text).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

#[test]
fn an_alert_takes_the_deepest_matching_route_and_further_siblings_after_continue() {
    let router = Router::new(&parse(TREE), channels()).unwrap();
    let receivers = |pairs: &[(&str, &str)]| router.receivers_of(&labels(pairs)).join(" ");
    assert_eq!(receivers(&[("team", "ops")]), "default");
    assert_eq!(receivers(&[("team", "ml")]), "ml web");
    assert_eq!(
        receivers(&[("team", "ml"), ("severity", "critical")]),
        "pager web"
    );
    assert_eq!(receivers(&[("team", "ml"), ("env", "dev")]), "ml");
    assert_eq!(receivers(&[("team", "web")]), "web");
}

#[test]
fn a_route_inherits_the_settings_that_it_does_not_set() {
    let router = Router::new(&parse(TREE), channels()).unwrap();
    let pager = router.node(2);
    assert_eq!(pager.key, r#"{}/{team="ml"}/{severity="critical"}"#);
    assert_eq!(pager.group_wait, Duration::from_secs(10));
    assert_eq!(pager.group_interval, Duration::from_mins(5));
    let set = labels(&[("team", "ml"), ("alertname", "slow")]);
    assert_eq!(pager.group_labels(&set), set);
    let web = router.node(3);
    assert_eq!(web.repeat_interval, Duration::from_hours(1));
    assert_eq!(web.group_labels(&set), labels(&[("alertname", "slow")]));
    // Neither time intervals nor `continue` are inherited.
    assert!(router.is_muted(pager, UnixMs::from_i64(3_600_000)));
    assert!(!router.is_muted(pager, UnixMs::from_i64(7 * 3_600_000)));
    assert!(!router.is_muted(web, UnixMs::from_i64(3_600_000)));
}

#[test]
fn a_channel_has_a_destination_per_address() {
    let router = Router::new(&parse(TREE), channels()).unwrap();
    let names: Vec<String> = router
        .receiver("pager")
        .unwrap()
        .destinations
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["pager", "hook", "hook/1"]);
}

#[test]
fn an_error_names_the_route_and_the_key() {
    for (from, to, expected) in [
        (
            "receiver: ml",
            "receiver: mll",
            r#"route.routes[0]: receiver: there is no receiver "mll"; there are: "default", "ml", "pager", "web""#,
        ),
        (
            "'team=\"ml\"'",
            "'team'",
            r#"route.routes[0]: matchers: "team" is not a matcher"#,
        ),
        (
            "severity=critical",
            "'severity=~\"(\"'",
            "route.routes[0].routes[0]: matchers: the regular expression of label \"severity\" is invalid: error parsing regexp",
        ),
        (
            "['...']",
            "['...', a]",
            "route.routes[0].routes[0]: group_by: `...` groups by all labels and must be the only entry",
        ),
        (
            "[alertname]",
            "[a, a]",
            "route: group_by: label \"a\" is repeated",
        ),
        (
            "[nights]",
            "[days]",
            r#"route.routes[0].routes[0]: mute_time_intervals: there is no time interval "days""#,
        ),
        (
            "repeat_interval: 1h",
            "repeat_interval: 0s",
            "route.routes[1]: repeat_interval: must be longer than 0",
        ),
        (
            "  receiver: default",
            "  receiver: default\n  matchers: [a=b]",
            "route: matchers: the root route must have no matchers",
        ),
        (
            "[pager, hook]",
            "[pagr]",
            r#"receiver "pager": channels: there is no channel "pagr"; there are: "hook", "pager""#,
        ),
        (
            "name: web",
            "name: ml",
            r#"receiver "ml": name: the name is used twice"#,
        ),
        (
            "'06:00'",
            "'6:00'",
            r#"time interval "nights": times: "6:00" is not a time"#,
        ),
    ] {
        let routing = parse(&TREE.replacen(from, to, 1));
        let error = Router::new(&routing, channels()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn a_cycle_of_fallbacks_is_rejected() {
    let channels = Channels::from([
        ("a".to_owned(), ChannelTraits::default().with_fallback("b")),
        ("b".to_owned(), ChannelTraits::default().with_fallback("a")),
    ]);
    let routing = Routing::to_receiver(Receiver::new("all", ["a"]));
    let error = Router::new(&routing, channels).unwrap_err();
    assert_eq!(
        (error.place.as_str(), error.key),
        ("channel \"a\"", "fallback")
    );
    assert!(
        Router::new(
            &Routing::default().with_route(Route::default()),
            Channels::new()
        )
        .is_err()
    );
}
