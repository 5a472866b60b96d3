//! The table of channels: each row names the options of a channel, and everything that differs between channels stands
//! behind [`ChannelSpec`] in the channel's folder.

use std::sync::Arc;

use super::{AlertmanagerPeer, Notifier, TemplateFiles};
use crate::{
    alerting::{AlertingConfig, ChannelConfig, ChannelTraits, ExportedChannel, RoutingError},
    net::OutgoingClient,
    settings::Variable,
};

/// The context in which a channel is built.
pub(crate) struct ChannelContext<'a> {
    /// The name of the channel in the configuration.
    pub(crate) name: &'a str,
    /// The client for HTTP requests.
    pub(crate) client: &'a OutgoingClient,
    /// `service.name`.
    pub(crate) service: &'a str,
    /// The files whose templates a channel without files of its own can call.
    pub(crate) template_files: &'a TemplateFiles,
}

/// The receivers that a channel was built into.
pub(crate) enum Built {
    /// Receivers of messages about groups of alerts.
    Notifiers(Vec<Arc<dyn Notifier>>),
    /// Alertmanagers, which receive the alerts themselves.
    Alertmanagers(Vec<AlertmanagerPeer>),
}

/// A kind of channel: its environment variables, and how its options become receivers.
pub(crate) trait ChannelSpec {
    /// The environment variables that configure the channel. A variable that creates the channel stands before the
    /// variables that change it.
    const VARIABLES: &[Variable<AlertingConfig>] = &[];

    /// True if messages contain links that a reader follows in a browser.
    const HAS_LINKS: bool = false;

    /// Returns the environment variable whose value is missing, or `None` if the channel can be used.
    fn missing(&self) -> Option<&'static str>;

    /// Builds the receivers.
    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError>;

    /// Completes the routing traits of the channel.
    fn traits(&self, traits: ChannelTraits) -> ChannelTraits {
        traits
    }

    /// Returns the channel as it appears in an exported Alertmanager configuration.
    fn exported(&self, _send_resolved: bool) -> ExportedChannel {
        ExportedChannel::LeftOut
    }
}

macro_rules! channels {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $variant:ident($module:ident::$options:ident),)+) => {
        /// The options of every channel.
        pub(crate) mod options {
            $($(#[cfg($cfg)])? pub use crate::alerting::channel::$module::$options;)+
        }

        /// The kind of a channel, with its options.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "lowercase")]
        #[non_exhaustive]
        pub enum ChannelKind {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $variant(options::$options),)+
        }

        $($(#[cfg($cfg)])?
        impl From<options::$options> for ChannelKind {
            fn from(options: options::$options) -> Self {
                Self::$variant(options)
            }
        }

        $(#[cfg($cfg)])?
        impl From<options::$options> for ChannelConfig {
            fn from(options: options::$options) -> Self {
                Self::new(options.into())
            }
        })+

        /// The environment variables of all channels.
        pub(crate) fn variables() -> impl Iterator<Item = &'static Variable<AlertingConfig>> {
            let tables: &[&'static [Variable<AlertingConfig>]] =
                &[$($(#[cfg($cfg)])? <options::$options as ChannelSpec>::VARIABLES,)+];
            tables.to_vec().into_iter().flatten()
        }

        impl ChannelKind {
            /// Returns the name of the kind, as in the channels of default rules: `slack`, `pagerduty`, `email`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(_) => stringify!($module),)+
                }
            }

            /// Returns the environment variable that creates such a channel.
            pub(crate) fn variable(&self) -> Option<&'static str> {
                let table = match self {
                    $($(#[cfg($cfg)])? Self::$variant(_) => <options::$options as ChannelSpec>::VARIABLES,)+
                };
                table.first().map(|variable| variable.name)
            }

            pub(crate) fn missing(&self) -> Option<&'static str> {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(options) => options.missing(),)+
                }
            }

            pub(crate) fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(options) => options.receivers(context),)+
                }
            }

            pub(crate) fn has_links(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(_) => <options::$options as ChannelSpec>::HAS_LINKS,)+
                }
            }

            pub(crate) fn traits(&self, traits: ChannelTraits) -> ChannelTraits {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(options) => options.traits(traits),)+
                }
            }

            pub(crate) fn exported(&self, send_resolved: bool) -> ExportedChannel {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(options) => options.exported(send_resolved),)+
                }
            }
        }
    };
}

channels! {
    /// Lines on standard error.
    Console(console::ConsoleOptions),
    /// An incoming webhook of Slack.
    Slack(slack::SlackOptions),
    /// `PagerDuty`'s Events API v2.
    PagerDuty(pagerduty::PagerDutyOptions),
    /// E-mail.
    #[cfg(feature = "email")]
    Email(email::EmailOptions),
    /// A POST request with the body of Alertmanager's webhook.
    Webhook(webhook::WebhookOptions),
    /// Alertmanagers, each of which receives every alert and does grouping and silences itself.
    Alertmanager(alertmanager::AlertmanagerOptions),
}
