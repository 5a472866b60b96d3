//! Counts the bytes of a request's body, while its span is elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Buf;

use crate::middleware::body::Count;

/// Counts what a request's body holds.
#[derive(Clone, Debug, Default)]
pub struct Bytes(Arc<AtomicU64>);

impl Bytes {
    /// So many so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl<D: Buf> Count<D> for Bytes {
    fn data(&mut self, data: &D) {
        self.0.fetch_add(data.remaining() as u64, Relaxed);
    }
}
