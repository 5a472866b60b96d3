//! Presets: the base configurations for the kinds of deployments.

use std::time::Duration;

use super::{Config, TraceExporter};
use crate::{health::HealthConfig, runtime::named};

named! {
    /// A kind of deployment, which selects the base configuration.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Preset {
        /// A developer's machine.
        #[default]
        Development = "development",
        /// A production service.
        Production = "production",
        /// A small virtual server that runs alone.
        Vps = "vps",
        /// A large deployment.
        Enterprise = "enterprise",
    }
}

impl Preset {
    /// Returns the preset with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.as_str().eq_ignore_ascii_case(name))
    }
}

pub(super) fn config(preset: Preset) -> Config {
    let (suffix, prefix) = match preset {
        Preset::Development => ("-dev", "llm_router_dev_"),
        Preset::Production => ("", "llm_router_"),
        Preset::Vps => ("-vps", "llm_router_vps_"),
        Preset::Enterprise => ("-enterprise", "llm_router_enterprise_"),
    };
    let mut config = Config::default()
        .with_prefix(prefix)
        .with_service_name(format!("llm-router{suffix}"));
    config.service.environment = Some(preset.as_str().to_owned());
    let (exporter, ratio) = match preset {
        Preset::Development => (TraceExporter::Console, 1.0),
        Preset::Production => (TraceExporter::Jaeger, 0.1),
        Preset::Vps => (TraceExporter::Console, 0.5),
        Preset::Enterprise => (TraceExporter::Jaeger, 0.05),
    };
    health(preset, &mut config.health);
    config.traces.enabled = cfg!(feature = "otlp");
    config.traces.exporters = vec![exporter];
    if preset == Preset::Enterprise {
        if cfg!(feature = "zipkin") {
            config.traces.exporters.push(TraceExporter::Zipkin);
        } else if config.traces.enabled {
            left_out(&mut config, "the exporter zipkin", "zipkin");
        }
    }
    config.traces.sampling.ratio = ratio;
    let is_measured = matches!(preset, Preset::Development | Preset::Enterprise);
    config.profiler.enabled = is_measured;
    config.journal.enabled = is_measured;
    if preset == Preset::Enterprise {
        config.profiler.profile_duration = std::time::Duration::from_mins(1);
    }
    #[cfg(feature = "alerting")]
    alerting(preset, &mut config);
    config
}

/// Sets the interval and the thresholds of the health checks.
fn health(preset: Preset, health: &mut HealthConfig) {
    let (interval, [cpu, memory, disk], error_rate, response_time) = match preset {
        Preset::Development => (5, [90.0, 90.0, 95.0], 0.1, 10),
        Preset::Production => (10, [80.0, 85.0, 90.0], 0.05, 5),
        Preset::Vps => (15, [85.0, 80.0, 90.0], 0.05, 8),
        Preset::Enterprise => (30, [75.0, 80.0, 85.0], 0.01, 3),
    };
    health.interval = Duration::from_secs(interval);
    let thresholds = &mut health.thresholds;
    thresholds.cpu_percent = cpu;
    thresholds.memory_percent = memory;
    thresholds.disk_percent = disk;
    thresholds.error_rate = error_rate;
    thresholds.response_time = Duration::from_secs(response_time);
}

/// Adds a notice about a part of a preset whose feature is not compiled in.
fn left_out(config: &mut Config, part: &str, feature: &str) {
    config.notices.push(format!(
        "{part} of the preset is off: it needs the feature `{feature}` added"
    ));
}

/// Sets the channels, the routes and the storage of alerts.
#[cfg(feature = "alerting")]
fn alerting(preset: Preset, config: &mut Config) {
    use super::ChannelConfig;
    use crate::alerting::{PagerDutyOptions, SlackOptions, WebhookOptions};

    // A channel without its address or key is off, and one notice names the missing variable.
    let channels = &mut config.alerting.channels;
    if matches!(preset, Preset::Production | Preset::Enterprise) {
        let slack = ChannelConfig::slack(SlackOptions::default());
        let pager = ChannelConfig::pagerduty(PagerDutyOptions::default());
        channels.insert("slack".to_owned(), slack);
        channels.insert("pagerduty".to_owned(), pager);
        #[cfg(not(feature = "email"))]
        left_out(config, "the alert channel email", "email");
        #[cfg(feature = "email")]
        config.alerting.channels.insert(
            "email".to_owned(),
            ChannelConfig::email(crate::alerting::EmailOptions::default()),
        );
    }
    let channels = &mut config.alerting.channels;
    if preset != Preset::Development {
        channels.remove("console");
    }
    if matches!(preset, Preset::Vps | Preset::Enterprise) {
        let webhook = ChannelConfig::webhook(WebhookOptions::new::<String>([]));
        channels.insert("webhook".to_owned(), webhook);
    }
    if preset != Preset::Development {
        config.alerting.data_dir = Some("./observatory-data".into());
    }
    if preset == Preset::Enterprise {
        config.alerting.escalation_delay = Duration::from_mins(10);
    }
}
