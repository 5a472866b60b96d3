//! Defines the channel: its addresses and its routing traits.

use std::sync::Arc;

use super::address::Address;
use crate::alerting::{ChannelTraits, Notifier};

/// A channel that receivers refer to by name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Channel {
    /// The notifier of each address.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// The kinds of notifications that the channel gets. The number of destinations is the number of notifiers,
    /// regardless of the traits.
    pub traits: ChannelTraits,
    /// Whether each attempt runs on a thread of its own, because a notifier may block.
    pub(super) has_own_threads: bool,
}

impl Channel {
    /// Creates a channel with one address.
    #[must_use]
    pub fn new(notifier: impl Notifier + 'static) -> Self {
        Self::from_notifiers(vec![Arc::new(notifier)])
    }

    /// Creates a channel with several addresses; deliveries to each address are independent.
    #[must_use]
    pub fn from_notifiers(notifiers: Vec<Arc<dyn Notifier>>) -> Self {
        Self {
            notifiers,
            traits: ChannelTraits::default(),
            has_own_threads: true,
        }
    }

    /// Polls the notifiers on the thread of the runner; for notifiers that never block.
    pub(crate) fn on_shared_thread(mut self) -> Self {
        self.has_own_threads = false;
        self
    }

    /// Returns the addresses of the channel with this name.
    pub(super) fn addresses(&self, name: &str) -> Vec<Arc<Address>> {
        let notifiers = self.notifiers.iter().enumerate();
        notifiers
            .map(|(index, notifier)| {
                Arc::new(Address::new(name, index, notifier, self.has_own_threads))
            })
            .collect()
    }

    /// Sets the kinds of notifications that the channel gets.
    #[must_use]
    pub fn with_traits(mut self, traits: ChannelTraits) -> Self {
        self.traits = traits;
        self
    }

    /// Returns the traits with the number of destinations, for the router.
    #[must_use]
    pub fn routing_traits(&self) -> ChannelTraits {
        let destinations = u16::try_from(self.notifiers.len()).unwrap_or(u16::MAX);
        self.traits.clone().with_destinations(destinations)
    }
}
