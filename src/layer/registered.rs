//! The subscriber that a Layer is part of.

use std::sync::{Arc, OnceLock};

use tracing::{Dispatch, dispatcher::WeakDispatch};

/// Known once the subscriber is in use. (A Layer inside an `Option` or a `Vec` is not told.)
#[derive(Clone, Debug, Default)]
pub(crate) struct Registered(Arc<OnceLock<WeakDispatch>>);

impl Registered {
    pub(super) fn set(&self, dispatch: &Dispatch) {
        // A Layer is part of one subscriber.
        let _ = self.0.set(dispatch.downgrade());
    }

    /// The subscriber, while it lives.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        self.0.get()?.upgrade()
    }
}
