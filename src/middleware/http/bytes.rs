//! Counts the bytes of a request body.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Buf;

use crate::middleware::body::BodyCounter;

/// Counts the bytes of a request body. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Bytes(Arc<AtomicU64>);

impl Bytes {
    /// Returns the bytes that were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl<D: Buf> BodyCounter<D> for Bytes {
    fn on_data(&mut self, data: &D) {
        self.0.fetch_add(data.remaining() as u64, Relaxed);
    }
}
