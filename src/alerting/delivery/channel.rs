//! A channel: its addresses, and what it wants to hear.

use std::sync::Arc;

use crate::alerting::{ChannelTraits, Notifier};

/// A channel that receivers can name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Channel {
    /// One for each address.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// What it wants to hear; its number of destinations is that of the notifiers.
    pub traits: ChannelTraits,
}

impl Channel {
    /// A channel with one address.
    #[must_use]
    pub fn new(notifier: impl Notifier + 'static) -> Self {
        Self::from_notifiers(vec![Arc::new(notifier)])
    }

    /// A channel with several addresses, each told on its own.
    #[must_use]
    pub fn from_notifiers(notifiers: Vec<Arc<dyn Notifier>>) -> Self {
        Self {
            notifiers,
            traits: ChannelTraits::default(),
        }
    }

    /// Sets what it wants to hear.
    #[must_use]
    pub fn with_traits(mut self, traits: ChannelTraits) -> Self {
        self.traits = traits;
        self
    }

    /// What routing has to know of it.
    #[must_use]
    pub fn routing_traits(&self) -> ChannelTraits {
        let destinations = u16::try_from(self.notifiers.len()).unwrap_or(u16::MAX);
        self.traits.clone().with_destinations(destinations)
    }
}
