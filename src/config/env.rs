//! The environment over a preset. The only module that reads it.

use std::time::Duration;

#[cfg(feature = "alerting")]
use super::ChannelConfig;
#[cfg(feature = "email")]
use super::ChannelKind;
use super::{Config, ConfigError, LogFormat, Preset};
#[cfg(feature = "email")]
use crate::alerting::{EmailOptions, recipients};
#[cfg(feature = "alerting")]
use crate::alerting::{PagerDutyOptions, Secret, SlackOptions, WebhookOptions};
use crate::metrics::Side;

/// Variables of ours begin so.
const OURS: &str = "OBSERVATORY_";
/// One that begins so, and is at most so many letters from one of ours, is a spelling mistake. Others are
/// somebody else's: Kubernetes sets `OBSERVATORY_SERVICE_HOST` beside a service of that name.
const MISSPELT: usize = 3;

/// The value of a variable, and the names of all there are.
pub(super) trait Environment {
    fn get(&self, key: &str) -> Option<String>;
    fn keys(&self) -> Vec<String>;
}

/// The environment of this process.
pub(super) struct Process;

impl Environment for Process {
    fn get(&self, key: &str) -> Option<String> {
        // A value that is no Unicode cannot be right for any of these.
        std::env::var_os(key).map(|value| value.to_string_lossy().into_owned())
    }

    fn keys(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(key, _)| key.to_string_lossy().into_owned())
            .collect()
    }
}

type Setter = fn(&mut Config, &str) -> Result<(), &'static str>;

/// Each variable, and what it sets; later ones stand over earlier ones.
const VARIABLES: &[(&str, Setter)] = &[
    ("MONITORING_ENABLED", |config, value| {
        set(&mut config.enabled, boolean(value))
    }),
    ("PROMETHEUS_ENABLED", |config, value| {
        set(&mut config.prometheus.enabled, boolean(value))
    }),
    ("HEALTH_CHECK_ENABLED", |config, value| {
        set(&mut config.health.enabled, boolean(value))
    }),
    ("METRICS_ENDPOINT", |config, value| {
        set(&mut config.prometheus.endpoint, Ok(value.to_owned()))
    }),
    ("HEALTH_ENDPOINT", |config, value| {
        set(&mut config.health.endpoint, Ok(value.to_owned()))
    }),
    ("LOG_LEVEL", |config, value| {
        set(&mut config.log_filter, Ok(value.to_owned()))
    }),
    ("RUST_LOG", |config, value| {
        set(&mut config.log_filter, Ok(value.to_owned()))
    }),
    ("OBSERVATORY_ENABLED", |config, value| {
        set(&mut config.enabled, boolean(value))
    }),
    ("OBSERVATORY_LISTEN", |config, value| {
        set(
            &mut config.prometheus.listen,
            value
                .parse()
                .map_err(|_| "an address with a port, `127.0.0.1:9091`, say"),
        )
    }),
    ("OBSERVATORY_LOG_FORMAT", |config, value| {
        let format = match value {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err("`pretty` or `json`"),
        };
        set(&mut config.log_format, format)
    }),
    ("OBSERVATORY_PREFIX", |config, value| {
        set(&mut config.prometheus.prefix, Ok(value.to_owned()))
    }),
    ("OBSERVATORY_SERIES_LIMIT", |config, value| {
        set(
            &mut config.prometheus.series_limit,
            value.parse().map_err(|_| "a whole number above 0"),
        )
    }),
    ("OBSERVATORY_IDLE_TIMEOUT", |config, value| {
        set(
            &mut config.prometheus.idle_timeout,
            duration(value).map(Some),
        )
    }),
    ("OBSERVATORY_TICK", |config, value| {
        set(&mut config.tick, duration(value))
    }),
    ("OBSERVATORY_RETENTION", |config, value| {
        set(&mut config.query.retention.time, duration(value))
    }),
    ("OBSERVATORY_RETENTION_BYTES", |config, value| {
        set(
            &mut config.query.retention.bytes,
            value
                .parse()
                .map_err(|_| "a whole number of bytes, `67108864`, say"),
        )
    }),
    #[cfg(feature = "alerting")]
    ("ALERTING_ENABLED", |config, value| {
        set(&mut config.alerting.enabled, boolean(value))
    }),
    #[cfg(feature = "alerting")]
    ("SLACK_WEBHOOK_URL", |config, value| {
        let slack = ChannelConfig::slack(SlackOptions::new(value));
        config.alerting.channels.insert("slack".to_owned(), slack);
        Ok(())
    }),
    #[cfg(feature = "alerting")]
    ("PAGERDUTY_ROUTING_KEY", |config, value| {
        let source = config.service.name.clone();
        let pager = PagerDutyOptions::new(value).with_source(source);
        let pager = ChannelConfig::pagerduty(pager);
        config
            .alerting
            .channels
            .insert("pagerduty".to_owned(), pager);
        Ok(())
    }),
    // Many a service sends mail: only who gets alerts makes it a channel of ours.
    #[cfg(not(feature = "email"))]
    ("ALERT_TO_EMAILS", |_, _| {
        Err("unset, or the feature `email` added")
    }),
    #[cfg(feature = "email")]
    ("ALERT_TO_EMAILS", |config, value| {
        let to = recipients(value);
        let make = || ChannelConfig::email(EmailOptions::default());
        let channels = &mut config.alerting.channels;
        channels.entry("email".to_owned()).or_insert_with(make);
        of_mail(config, |mail| mail.to = to)
    }),
    #[cfg(feature = "email")]
    ("ALERT_FROM_EMAIL", |config, value| {
        of_mail(config, |mail| value.clone_into(&mut mail.from))
    }),
    #[cfg(feature = "email")]
    ("SMTP_HOST", |config, value| {
        of_mail(config, |mail| value.clone_into(&mut mail.host))
    }),
    #[cfg(feature = "email")]
    ("SMTP_PORT", |config, value| {
        let port = value.parse().map_err(|_| "a port, `587`, say")?;
        of_mail(config, |mail| mail.port = port)
    }),
    #[cfg(feature = "email")]
    ("SMTP_USER", |config, value| {
        of_mail(config, |mail| mail.username = Some(value.to_owned()))
    }),
    #[cfg(feature = "email")]
    ("SMTP_PASS", |config, value| {
        of_mail(config, |mail| mail.password = Some(Secret::new(value)))
    }),
    #[cfg(feature = "alerting")]
    ("MONITORING_WEBHOOK_URL", |config, value| {
        let webhook = ChannelConfig::webhook(WebhookOptions::new([value]));
        config
            .alerting
            .channels
            .insert("webhook".to_owned(), webhook);
        Ok(())
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_ALERTMANAGERS", |config, value| {
        let urls = value
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty());
        let peers = ChannelConfig::alertmanagers(urls);
        config
            .alerting
            .channels
            .insert("alertmanager".to_owned(), peers);
        Ok(())
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_RULES", |config, value| {
        let paths = value
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty());
        config.alerting.rule_files.extend(paths.map(Into::into));
        Ok(())
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_TEMPLATES", |config, value| {
        let paths = value
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty());
        config.alerting.template_files.extend(paths.map(Into::into));
        Ok(())
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_DATA_DIR", |config, value| {
        set(&mut config.alerting.data_dir, Ok(Some(value.into())))
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_EXTERNAL_URL", |config, value| {
        set(
            &mut config.alerting.external_url,
            Ok(Some(value.to_owned())),
        )
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_TRACE_URL", |config, value| {
        set(&mut config.alerting.trace_url, Ok(Some(value.to_owned())))
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_AGGREGATION_WINDOW", |config, value| {
        set(&mut config.alerting.aggregation_window, duration(value))
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_TOKEN", |config, value| {
        set(&mut config.alerting.api_token, Ok(Some(Secret::new(value))))
    }),
    #[cfg(feature = "alerting")]
    ("OBSERVATORY_EVALUATION_INTERVAL", |config, value| {
        set(&mut config.alerting.evaluation_interval, duration(value))
    }),
    ("OBSERVATORY_TAIL_RATIO", |config, value| {
        let ratio = value
            .parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio));
        let ratio = ratio.ok_or("a share from 0 to 1")?;
        config.traces.tail.get_or_insert_default().ratio = ratio;
        Ok(())
    }),
    ("OBSERVATORY_GEN_AI", |config, value| {
        let side = match value {
            "client" => Ok(Some(Side::Client)),
            "server" => Ok(Some(Side::Server)),
            "off" => Ok(None),
            _ => Err("`client`, `server` or `off`"),
        };
        set(&mut config.prometheus.gen_ai, side)
    }),
];

/// Sets something of the e-mail channel, where there is one.
#[cfg(feature = "email")]
#[expect(clippy::unnecessary_wraps, reason = "the form of every setter")]
fn of_mail(config: &mut Config, set: impl FnOnce(&mut EmailOptions)) -> Result<(), &'static str> {
    if let Some(channel) = config.alerting.channels.get_mut("email")
        && let ChannelKind::Email(options) = &mut channel.kind
    {
        set(options);
    }
    Ok(())
}

/// Chooses the preset; read before all others.
const PRESET: &str = "OBSERVATORY_ENV";

pub(super) fn load(environment: &impl Environment) -> Result<Config, ConfigError> {
    let invalid = |key: &str, value: String, expected| ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected,
    };
    // A variable that is set to nothing is as good as unset, as OpenTelemetry's specification says.
    let get = |key: &str| environment.get(key).filter(|value| !value.is_empty());
    let preset = match get(PRESET) {
        None => Preset::default(),
        Some(name) => Preset::named(&name).ok_or_else(|| {
            invalid(
                PRESET,
                name,
                "`development`, `production`, `vps` or `enterprise`",
            )
        })?,
    };
    if let Some((key, nearest)) = environment.keys().into_iter().find_map(misspelt) {
        return Err(ConfigError::UnknownVariable { key, nearest });
    }
    let mut config = Config::preset(preset);
    for (key, set) in VARIABLES {
        let value = match get(key) {
            None if SECRETS.contains(key) => from_file(get, key)?,
            value => value,
        };
        if let Some(value) = value {
            set(&mut config, &value).map_err(|expected| invalid(key, value, expected))?;
        }
    }
    super::otel::apply(&mut config, &get);
    config.validate()?;
    Ok(config)
}

/// Variables whose value may stand in a file instead, which `…_FILE` names: a secret that is mounted, say.
const SECRETS: [&str; 5] = [
    "SLACK_WEBHOOK_URL",
    "PAGERDUTY_ROUTING_KEY",
    "MONITORING_WEBHOOK_URL",
    "SMTP_PASS",
    "OBSERVATORY_TOKEN",
];

/// The secret in the file that `…_FILE` names, without the line's end.
fn from_file(
    get: impl Fn(&str) -> Option<String>,
    key: &str,
) -> Result<Option<String>, ConfigError> {
    let key = format!("{key}_FILE");
    let Some(path) = get(&key) else {
        return Ok(None);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(ConfigError::Invalid {
            key,
            value: format!("{path:?} ({error})"),
            expected: "the path of a file that can be read",
        }),
    }
}

/// A variable that must be one of ours spelt wrong, and that one.
fn misspelt(key: String) -> Option<(String, &'static str)> {
    let ours = || {
        VARIABLES
            .iter()
            .map(|(known, _)| *known)
            .chain([PRESET])
            .filter(|known| known.starts_with(OURS))
    };
    if !key.starts_with(OURS) || ours().any(|known| known == key) {
        return None;
    }
    let nearest = ours().min_by_key(|known| strsim::levenshtein(known, &key))?;
    (strsim::levenshtein(nearest, &key) <= MISSPELT).then_some((key, nearest))
}

fn set<T>(place: &mut T, value: Result<T, &'static str>) -> Result<(), &'static str> {
    *place = value?;
    Ok(())
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("`true` or `false`"),
    }
}

fn duration(value: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(value)
        .map_err(|_| "a duration with its unit, `10s`, `500ms` or `5m`, say")
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "email")]
    use crate::alerting::Encryption;
    use std::collections::BTreeMap;

    impl Environment for BTreeMap<&str, &str> {
        fn get(&self, key: &str) -> Option<String> {
            BTreeMap::get(self, key).map(|value| (*value).to_owned())
        }

        fn keys(&self) -> Vec<String> {
            BTreeMap::keys(self).map(|key| (*key).to_owned()).collect()
        }
    }

    fn config(variables: &[(&'static str, &'static str)]) -> Result<Config, String> {
        load(&variables.iter().copied().collect::<BTreeMap<_, _>>())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_variable_it_is_development() {
        let config = config(&[("OBSERVATORY_PREFIX", "")]).unwrap();
        assert_eq!(config, Config::preset(Preset::Development));
        assert_eq!(
            (
                config.prometheus.prefix.as_str(),
                config.service.name.as_str()
            ),
            ("llm_router_dev_", "llm-router-dev")
        );
    }

    #[test]
    fn variables_stand_over_the_preset() {
        let config = config(&[
            ("OBSERVATORY_ENV", "production"),
            ("OBSERVATORY_LISTEN", "0.0.0.0:1234"),
            ("OBSERVATORY_TICK", "500ms"),
            ("OBSERVATORY_GEN_AI", "server"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("LOG_LEVEL", "debug"),
            ("RUST_LOG", "warn"),
        ])
        .unwrap();
        assert_eq!(config.prometheus.prefix, "llm_router_");
        assert_eq!(config.prometheus.listen.to_string(), "0.0.0.0:1234");
        assert_eq!(config.tick, Duration::from_millis(500));
        assert_eq!(config.prometheus.gen_ai, Some(Side::Server));
        assert_eq!(
            (config.service.name.as_str(), config.log_filter.as_str()),
            ("mine", "warn")
        );
    }

    #[cfg(feature = "alerting")]
    #[test]
    fn a_trace_s_address_is_a_url_with_a_place_for_the_id() {
        let of = |value| config(&[("OBSERVATORY_TRACE_URL", value)]);
        let url = "http://jaeger:16686/trace/{trace_id}";
        assert_eq!(of(url).unwrap().alerting.trace_url.as_deref(), Some(url));
        for wrong in [
            "http://jaeger:16686/trace/",
            "jaeger/{trace_id}",
            "javascript:{trace_id}",
        ] {
            let error = of(wrong).unwrap_err();
            assert!(
                error.contains("alerting.trace_url") && error.contains(wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn a_bad_value_names_the_variable_the_value_and_what_would_be_right() {
        for (key, value, expected) in [
            ("OBSERVATORY_LISTEN", "9091", "127.0.0.1:9091"),
            ("OBSERVATORY_TICK", "10", "10s"),
            ("OBSERVATORY_ENV", "prod", "production"),
            ("OBSERVATORY_GEN_AI", "both", "client"),
            ("MONITORING_ENABLED", "maybe", "true"),
            ("OBSERVATORY_PREFIX", "a-b", "underscores"),
            ("METRICS_ENDPOINT", "metrics", "/metrics"),
        ] {
            let error = config(&[(key, value)]).unwrap_err();
            let key = if key == "OBSERVATORY_PREFIX" {
                "prefix"
            } else if key == "METRICS_ENDPOINT" {
                "endpoint"
            } else {
                key
            };
            assert!(
                error.contains(key) && error.contains(value) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[cfg(feature = "email")]
    #[test]
    fn channels_come_from_their_variables_and_show_no_secret() {
        let config = config(&[
            ("SLACK_WEBHOOK_URL", "https://hooks.example/canary-slack"),
            ("PAGERDUTY_ROUTING_KEY", "canary-key"),
            ("MONITORING_WEBHOOK_URL", "https://hook.example/canary-hook"),
            ("SMTP_HOST", "mail.example"),
            ("SMTP_PASS", "canary-password"),
            ("ALERT_TO_EMAILS", "a@example.com, b@example.com"),
            ("OBSERVATORY_TOKEN", "canary-token"),
        ])
        .unwrap();
        let channels = &config.alerting.channels;
        let names: Vec<&str> = channels.keys().map(String::as_str).collect();
        assert_eq!(names, ["console", "email", "pagerduty", "slack", "webhook"]);
        assert_eq!(channels["email"].missing(), Some("ALERT_FROM_EMAIL"));
        assert_eq!(channels["slack"].missing(), None);
        let shown = format!("{config:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[cfg(feature = "email")]
    #[test]
    fn mail_is_sent_as_its_variables_say() {
        let mail = |variables: &[(&'static str, &'static str)]| {
            let to = [(
                "ALERT_TO_EMAILS",
                "\"Doe, Jane\" <j@example.com>, a@example.com",
            )];
            let config = config(&[&to, variables].concat()).unwrap();
            let ChannelKind::Email(mail) = config.alerting.channels["email"].kind.clone() else {
                panic!("no mail");
            };
            mail
        };
        let found = mail(&[
            ("SMTP_PORT", "465"),
            ("SMTP_USER", "router"),
            ("SMTP_PASS", "hunter2"),
            ("ALERT_FROM_EMAIL", "alerts@example.com"),
        ]);
        assert_eq!(found.effective_encryption(), Encryption::Implicit);
        assert_eq!(found.username.as_deref(), Some("router"));
        assert_eq!(found.password, Some(Secret::new("hunter2")));
        assert_eq!(found.from, "alerts@example.com");
        assert_eq!(found.to, ["\"Doe, Jane\" <j@example.com>", "a@example.com"]);
        let default = mail(&[]);
        assert_eq!(
            (default.port, default.effective_encryption()),
            (587, Encryption::StartTls)
        );
        let error = config(&[("ALERT_TO_EMAILS", "a@b.example"), ("SMTP_PORT", "smtps")]);
        let error = error.unwrap_err();
        assert!(
            error.contains("SMTP_PORT") && error.contains("587"),
            "{error}"
        );
    }

    #[cfg(feature = "alerting")]
    #[test]
    fn a_client_of_channels_has_times_that_fit_into_an_attempt() {
        let mut config = Config::default();
        let second = Duration::from_secs(1);
        for (connect, whole, key) in [
            (second, 21 * second, "alerting.http.timeout"),
            (second, Duration::ZERO, "alerting.http.timeout"),
            (Duration::ZERO, second, "alerting.http.connect_timeout"),
        ] {
            config.alerting.http =
                crate::alerting::HttpOptions::default().with_timeouts(connect, whole);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        config.alerting.http =
            crate::alerting::HttpOptions::default().with_timeouts(second, 20 * second);
        config.validate().unwrap();
    }

    #[cfg(feature = "alerting")]
    #[test]
    fn a_secret_may_stand_in_a_file() {
        let path = std::env::temp_dir().join(format!("observatory-secret-{}", std::process::id()));
        std::fs::write(&path, "https://hooks.example/x\n").unwrap();
        let text = path.display().to_string().leak();
        let found = config(&[("SLACK_WEBHOOK_URL_FILE", text)]).unwrap();
        std::fs::remove_file(&path).unwrap();
        let crate::config::ChannelKind::Slack(slack) = &found.alerting.channels["slack"].kind
        else {
            panic!("no Slack");
        };
        assert_eq!(slack.url.expose(), "https://hooks.example/x");
        let error = config(&[("SLACK_WEBHOOK_URL_FILE", text)]).unwrap_err();
        assert!(
            error.contains("SLACK_WEBHOOK_URL_FILE") && error.contains("can be read"),
            "{error}"
        );
    }

    #[cfg(feature = "alerting")]
    #[test]
    fn a_presets_channel_without_its_secret_names_the_variable() {
        let config = config(&[("OBSERVATORY_ENV", "production")]).unwrap();
        let slack = &config.alerting.channels["slack"];
        assert_eq!(slack.missing(), Some("SLACK_WEBHOOK_URL"));
        assert!(!config.alerting.channels.contains_key("console"));
    }

    #[test]
    fn a_misspelt_variable_is_an_error_that_names_the_nearest() {
        let error = config(&[("OBSERVATORY_LISTN", "127.0.0.1:1")]).unwrap_err();
        assert!(
            error.contains("OBSERVATORY_LISTN")
                && error.contains("did you mean OBSERVATORY_LISTEN"),
            "{error}"
        );
        // What Kubernetes sets beside a service named `observatory` is no mistake of the user's.
        config(&[
            ("OBSERVATORY_SERVICE_HOST", "10.0.0.1"),
            ("OBSERVATORY_PORT", "tcp://10.0.0.1:9090"),
            ("OBSERVATORY_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
        ])
        .unwrap();
    }
}
