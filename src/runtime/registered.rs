//! Holds a weak reference to the subscriber that the Layer is part of.

use std::sync::{Arc, OnceLock};

use tracing::{Dispatch, dispatcher::WeakDispatch};

/// A weak reference to the subscriber, set when `tracing` registers the Layer's dispatch.
///
/// It stays empty for a Layer inside an `Option` or a `Vec`: `tracing-subscriber` does not call
/// `on_register_dispatch` for those.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registered(Arc<OnceLock<WeakDispatch>>);

impl Registered {
    /// Stores the subscriber. Only the first call has an effect: a Layer is part of one subscriber.
    pub(crate) fn set(&self, dispatch: &Dispatch) {
        let _ = self.0.set(dispatch.downgrade());
    }

    /// Returns the subscriber, or `None` before registration and after the subscriber is dropped.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        self.0.get()?.upgrade()
    }
}
