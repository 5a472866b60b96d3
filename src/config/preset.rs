//! Presets: the base configurations for the kinds of deployments.

use super::{Config, TraceExporter};
use crate::runtime::named;

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
    config.traces.enabled = cfg!(feature = "otlp");
    config.traces.exporters = vec![exporter];
    if preset == Preset::Enterprise && cfg!(feature = "zipkin") {
        config.traces.exporters.push(TraceExporter::Zipkin);
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
        #[cfg(feature = "email")]
        channels.insert(
            "email".to_owned(),
            ChannelConfig::email(crate::alerting::EmailOptions::default()),
        );
    }
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
        config.alerting.escalation_delay = std::time::Duration::from_mins(10);
    }
}
