//! Applies environment variables to the base configuration, or to the preset that `OBSERVATORY_ENV` names.
//!
//! This module reads the environment, and drives the table of variables of each area.

use std::path::PathBuf;

use super::{Config, ConfigError, Origin, compose::Composed, service, tree::to_tree};
#[cfg(feature = "alerting")]
use crate::alerting::AlertingConfig;
#[cfg(feature = "server")]
use crate::server::ServerConfig;
use crate::{
    health::HealthConfig,
    journal::JournalConfig,
    log::LogFormat,
    metrics::{PrometheusConfig, QueryConfig},
    profiler::ProfilerConfig,
    settings::{Variable, boolean, duration, set, text, variable},
    traces::{TracesConfig, variables},
};

/// The beginning of the names of this crate's own variables.
const OWN_PREFIX: &str = "OBSERVATORY_";
/// The maximum edit distance between an unknown variable and the known variable that it is taken to misspell. Other
/// unknown variables belong to other programs: Kubernetes sets `OBSERVATORY_SERVICE_HOST` for a service of that name.
const MAX_EDIT_DISTANCE: usize = 3;

/// Access to environment variables.
pub(super) trait Environment {
    fn get(&self, key: &str) -> Option<String>;
    fn keys(&self) -> Vec<String>;
    /// Returns the file name of the executable, without its extension.
    fn executable(&self) -> Option<String>;
    /// Returns the path of the configuration file.
    fn file(&self) -> Option<PathBuf> {
        let path = self.get(FILE).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    }
}

/// The environment of this process.
pub(super) struct Process;

impl Environment for Process {
    fn get(&self, key: &str) -> Option<String> {
        // A value that is not Unicode is invalid for every variable.
        std::env::var_os(key).map(|value| value.to_string_lossy().into_owned())
    }

    fn keys(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(key, _)| key.to_string_lossy().into_owned())
            .collect()
    }

    fn executable(&self) -> Option<String> {
        let path = std::env::current_exe().ok()?;
        Some(path.file_stem()?.to_str()?.to_owned())
    }

    fn file(&self) -> Option<PathBuf> {
        let path = self.get(FILE).filter(|path| !path.is_empty());
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
        path.map(PathBuf::from).or_else(default)
    }
}

/// The variables of the options that belong to no area.
const VARIABLES: &[Variable<Config>] = &[
    variable!("MONITORING_ENABLED" => enabled, boolean),
    variable!("LOG_LEVEL" => log_filter, text),
    variable!("RUST_LOG" => log_filter, text),
    variable!("OBSERVATORY_ENABLED" => enabled, boolean),
    Variable::new("OBSERVATORY_LOG_FORMAT", |config, value| {
        let format = match value {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err("`pretty` or `json`"),
        };
        set(&mut config.log_format, format)
    }),
    variable!("OBSERVATORY_TICK" => tick, duration),
];

/// The variable that names the preset; it is read before all others.
pub(super) const PRESET: &str = "OBSERVATORY_ENV";
/// The variable that names the configuration file.
const FILE: &str = "OBSERVATORY_CONFIG";
/// The configuration file that is read if it exists.
const DEFAULT_FILE: &str = "observatory.yaml";

/// Applies the variables that are set, and reports each invalid variable.
pub(super) fn apply(environment: &impl Environment, composed: &mut Composed) {
    // OpenTelemetry's specification: an empty value means the same as an unset variable.
    let get = |key: &str| environment.get(key).filter(|value| !value.is_empty());
    for (key, nearest) in environment.keys().into_iter().filter_map(misspelt) {
        let origin = Origin::Variable(key.as_str().into());
        composed.push(ConfigError::UnknownVariable { key, nearest }, origin);
    }
    table(VARIABLES, |config| config, composed, &get);
    let prometheus = PrometheusConfig::VARIABLES;
    table(prometheus, |config| &mut config.prometheus, composed, &get);
    #[cfg(feature = "server")]
    table(
        ServerConfig::VARIABLES,
        |config| &mut config.server,
        composed,
        &get,
    );
    table(
        HealthConfig::VARIABLES,
        |config| &mut config.health,
        composed,
        &get,
    );
    table(
        QueryConfig::VARIABLES,
        |config| &mut config.query,
        composed,
        &get,
    );
    #[cfg(feature = "alerting")]
    table(
        AlertingConfig::variables(),
        |config| &mut config.alerting,
        composed,
        &get,
    );
    table(
        JournalConfig::VARIABLES,
        |config| &mut config.journal,
        composed,
        &get,
    );
    table(
        ProfilerConfig::VARIABLES,
        |config| &mut config.profiler,
        composed,
        &get,
    );
    table(
        TracesConfig::VARIABLES,
        |config| &mut config.traces,
        composed,
        &get,
    );
    opentelemetry(environment, composed, &get);
}

/// Applies OpenTelemetry's variables. The origin of an option is the last variable that alone gives the same value.
fn opentelemetry(
    environment: &impl Environment,
    composed: &mut Composed,
    get: &impl Fn(&str) -> Option<String>,
) {
    let is_opentelemetry = |key: &String| key.starts_with("OTEL_") && get(key).is_some();
    let keys: Vec<String> = environment
        .keys()
        .into_iter()
        .filter(is_opentelemetry)
        .collect();
    if keys.is_empty() {
        return;
    }
    let before = composed.config.clone();
    apply_opentelemetry(&mut composed.config, get);
    composed.refresh(&Origin::Variable("OTEL_*".into()));
    for key in keys {
        let mut alone = before.clone();
        apply_opentelemetry(&mut alone, &|name| get(name).filter(|_| name == key));
        composed.tree.attribute(
            &to_tree(&before, &Origin::Default),
            &to_tree(&alone, &Origin::Default),
            &Origin::Variable(key.as_str().into()),
        );
    }
}

/// Returns the configuration without a preset: `Config::default()` for the service that the executable names, with
/// traces in the live view. Traces are exported over OTLP if the environment names a collector.
pub(super) fn base(environment: &impl Environment) -> Config {
    const COLLECTOR: [&str; 2] = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    let mut config = Config::default();
    if let Some(name) = environment.executable() {
        config.service.name = name;
    }
    config.traces.enabled = cfg!(feature = "otlp");
    let is_set = |key| environment.get(key).is_some_and(|value| !value.is_empty());
    if !COLLECTOR.into_iter().any(is_set) {
        config.traces.exporters.clear();
    }
    config
}

/// Applies the variables of OpenTelemetry's specification, of which invalid values are ignored with a notice.
pub(super) fn apply_opentelemetry(config: &mut Config, get: &impl Fn(&str) -> Option<String>) {
    let notices = &mut config.notices;
    variables::apply_table(service::VARIABLES, &mut config.service, get, notices);
    variables::apply(&mut config.traces, &mut config.push, get, notices);
}

fn invalid(key: &str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected: expected.into(),
    }
}

/// Applies the variables of one table that are set.
fn table<T: 'static>(
    variables: impl IntoIterator<Item = &'static Variable<T>>,
    options: impl Fn(&mut Config) -> &mut T,
    composed: &mut Composed,
    get: &impl Fn(&str) -> Option<String>,
) {
    for variable in variables {
        let origin = Origin::Variable(variable.name.into());
        let value = match get(variable.name) {
            None if variable.is_secret => secret_from_file(get, variable.name),
            value => Ok(value),
        };
        let value = match value {
            Ok(None) => continue,
            Ok(Some(value)) => value,
            Err(error) => {
                composed.push(error, origin);
                continue;
            }
        };
        match (variable.apply)(options(&mut composed.config), &value) {
            Ok(()) => composed.refresh(&origin),
            Err(expected) => {
                let shown = if variable.is_secret { "***" } else { &value };
                composed.push(invalid(variable.name, shown, expected), origin);
            }
        }
    }
}

/// The names of all variables but OpenTelemetry's.
fn names() -> impl Iterator<Item = &'static str> {
    #[cfg(feature = "alerting")]
    let alerting = AlertingConfig::variables().map(|variable| variable.name);
    #[cfg(not(feature = "alerting"))]
    let alerting = std::iter::empty();
    #[cfg(feature = "server")]
    let server = names_of(ServerConfig::VARIABLES);
    #[cfg(not(feature = "server"))]
    let server = std::iter::empty();
    names_of(VARIABLES)
        .chain(server)
        .chain(names_of(PrometheusConfig::VARIABLES))
        .chain(names_of(HealthConfig::VARIABLES))
        .chain(names_of(QueryConfig::VARIABLES))
        .chain(names_of(JournalConfig::VARIABLES))
        .chain(names_of(ProfilerConfig::VARIABLES))
        .chain(names_of(TracesConfig::VARIABLES))
        .chain(alerting)
        .chain([PRESET, FILE])
}

fn names_of<T>(table: &'static [Variable<T>]) -> impl Iterator<Item = &'static str> {
    table.iter().map(|variable| variable.name)
}

/// Reads the secret from the file that `…_FILE` names, without the end of the line.
fn secret_from_file(
    get: &impl Fn(&str) -> Option<String>,
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
            expected: "the path of a file that can be read".into(),
        }),
    }
}

/// Returns an unknown variable that looks like a misspelling, and the known variable with the most similar name.
fn misspelt(key: String) -> Option<(String, &'static str)> {
    let known = || names().filter(|known| known.starts_with(OWN_PREFIX));
    if !key.starts_with(OWN_PREFIX) || known().any(|known| known == key) {
        return None;
    }
    let nearest = known().min_by_key(|known| strsim::levenshtein(known, &key))?;
    (strsim::levenshtein(nearest, &key) <= MAX_EDIT_DISTANCE).then_some((key, nearest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, compose::compose};
    use std::{collections::BTreeMap, time::Duration};

    #[cfg(feature = "alerting")]
    use crate::alerting::ChannelKind;
    use crate::metrics::Side;
    #[cfg(feature = "email")]
    use crate::{alerting::Encryption, privacy::Secret};

    impl Environment for BTreeMap<&str, &str> {
        fn get(&self, key: &str) -> Option<String> {
            BTreeMap::get(self, key).map(|value| (*value).to_owned())
        }

        fn keys(&self) -> Vec<String> {
            BTreeMap::keys(self).map(|key| (*key).to_owned()).collect()
        }

        fn executable(&self) -> Option<String> {
            Some("my-router".to_owned())
        }
    }

    fn config(variables: &[(&'static str, &'static str)]) -> Result<Config, String> {
        compose(&variables.iter().copied().collect::<BTreeMap<_, _>>(), None)
            .into_result()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_preset_the_names_are_those_of_the_documentation() {
        let base = config(&[("OBSERVATORY_PREFIX", ""), ("OBSERVATORY_ENV", "")]).unwrap();
        assert_eq!(base.prometheus.prefix, "llm_router_");
        assert_eq!(base.service.name, "my-router");
        assert_eq!(base.service.environment, None);
        assert_eq!(base.traces.enabled, cfg!(feature = "otlp"));
        assert!(base.traces.exporters.is_empty(), "the live view alone");
        let named = config(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=attributed")]).unwrap();
        assert_eq!(named.service.name, "attributed");
        let both = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attributed"),
            ("OTEL_SERVICE_NAME", "variable"),
        ];
        assert_eq!(config(&both).unwrap().service.name, "variable");
        let preset = config(&[("OBSERVATORY_ENV", "development")]).unwrap();
        assert_eq!(preset, Config::preset(Preset::Development));
        assert_eq!(preset.prometheus.prefix, "llm_router_dev_");
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn the_address_of_a_collector_is_enough_to_export_traces() {
        use crate::traces::TraceExporter::{Console, Otlp};
        let exporters = |variables: &[_]| config(variables).unwrap().traces.exporters;
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(exporters(&[collector]), [Otlp]);
        assert_eq!(
            exporters(&[collector, ("OTEL_TRACES_EXPORTER", "console")]),
            [Console]
        );
        // A misspelt name changes nothing; the correct names of a list hold.
        assert_eq!(
            exporters(&[collector, ("OTEL_TRACES_EXPORTER", "oltp")]),
            [Otlp]
        );
        assert_eq!(exporters(&[("OTEL_TRACES_EXPORTER", "oltp")]), []);
        assert_eq!(
            exporters(&[("OTEL_TRACES_EXPORTER", "oltp,console")]),
            [Console]
        );
    }

    #[test]
    fn variables_override_the_preset() {
        let config = config(&[
            ("OBSERVATORY_ENV", "production"),
            ("OBSERVATORY_LISTEN", "0.0.0.0:1234"),
            ("OBSERVATORY_TICK", "500ms"),
            ("OBSERVATORY_MAX_QUERY_BYTES", "8192"),
            ("OBSERVATORY_GEN_AI", "server"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("LOG_LEVEL", "debug"),
            ("RUST_LOG", "warn"),
        ])
        .unwrap();
        assert_eq!(config.prometheus.prefix, "llm_router_");
        assert_eq!(config.prometheus.listen.to_string(), "0.0.0.0:1234");
        assert_eq!(config.tick, Duration::from_millis(500));
        assert_eq!(config.query.max_query_bytes, 8_192);
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
                error.contains("alerting.trace_url")
                    && error.contains("OBSERVATORY_TRACE_URL")
                    && error.contains(wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn an_invalid_value_names_the_variable_the_value_and_the_valid_values() {
        for (key, value, expected) in [
            ("OBSERVATORY_LISTEN", "9091", "127.0.0.1:9091"),
            ("OBSERVATORY_TICK", "10", "10s"),
            ("OBSERVATORY_MAX_QUERY_BYTES", "0", "above 0"),
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
        assert_eq!(channels["email"].kind.missing(), Some("ALERT_FROM_EMAIL"));
        assert_eq!(channels["slack"].kind.missing(), None);
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
            config.alerting.http = crate::ClientOptions::default().with_timeouts(connect, whole);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        config.alerting.http = crate::ClientOptions::default().with_timeouts(second, 20 * second);
        config.validate().unwrap();
    }

    #[cfg(feature = "alerting")]
    #[test]
    fn a_secret_can_be_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("observatory-secret-{}", std::process::id()));
        std::fs::write(&path, "https://hooks.example/x\n").unwrap();
        let text = path.display().to_string().leak();
        let found = config(&[("SLACK_WEBHOOK_URL_FILE", text)]).unwrap();
        std::fs::remove_file(&path).unwrap();
        let ChannelKind::Slack(slack) = &found.alerting.channels["slack"].kind else {
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
        assert_eq!(slack.kind.missing(), Some("SLACK_WEBHOOK_URL"));
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
        // Variables that Kubernetes sets for a service named `observatory` are not misspellings.
        config(&[
            ("OBSERVATORY_SERVICE_HOST", "10.0.0.1"),
            ("OBSERVATORY_PORT", "tcp://10.0.0.1:9090"),
            ("OBSERVATORY_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
        ])
        .unwrap();
    }
}
