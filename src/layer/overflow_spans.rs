//! Stores the open spans outside the table of inferences, in a sharded map by span id.
//!
//! The map replaces the extensions of the registry for two reasons: other layers hold the extensions while the
//! application's code runs, whose panic would poison the lock; and two Layers of this crate in one subscriber would share
//! the extensions. No code of the application runs, and no sink is called, while a shard is locked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::{open::State, operation::Operation};
use crate::observation::Kind;
use crate::runtime::lock;

/// Max spans in the map. A span that never closes stays in the map.
const MAX_SPANS: usize = 65_536;
const SHARDS: usize = 16;

/// An open span.
pub(super) enum Entry {
    /// An inference whose slots in the table were taken.
    Inference(Arc<State>),
    /// A span of another kind.
    Operation(Box<Operation>),
}

/// The data that a record needs of an open span.
pub(super) enum OpenSpan {
    Inference(Arc<State>),
    Operation { kind: Kind, plan: u32 },
}

#[derive(Default)]
pub(super) struct OverflowSpans {
    shards: [Mutex<HashMap<u64, Entry, RandomState>>; SHARDS],
    count: AtomicUsize,
}

impl OverflowSpans {
    /// Inserts a span; returns `false` if the map is full.
    pub(super) fn insert(&self, id: u64, entry: Entry) -> bool {
        if self.count.fetch_add(1, Ordering::Relaxed) >= MAX_SPANS {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        // The registry reused the id of a span whose close the Layer did not see.
        if self.shard(id).insert(id, entry).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn remove(&self, id: u64) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let entry = self.shard(id).remove(&id)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(entry)
    }

    pub(super) fn inference(&self, id: u64) -> Option<Arc<State>> {
        if self.is_empty() {
            return None;
        }
        match self.shard(id).get(&id)? {
            Entry::Inference(state) => Some(Arc::clone(state)),
            Entry::Operation(_) => None,
        }
    }

    /// Returns the data of a span in the map.
    pub(super) fn find(&self, id: u64) -> Option<OpenSpan> {
        if self.is_empty() {
            return None;
        }
        Some(match self.shard(id).get(&id)? {
            Entry::Inference(state) => OpenSpan::Inference(Arc::clone(state)),
            Entry::Operation(operation) => OpenSpan::Operation {
                kind: operation.kind,
                plan: operation.plan,
            },
        })
    }

    /// Calls `with` with an operation of the map.
    pub(super) fn operation<R>(
        &self,
        id: u64,
        with: impl FnOnce(&mut Operation) -> R,
    ) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        match self.shard(id).get_mut(&id)? {
            Entry::Inference(_) => None,
            Entry::Operation(operation) => Some(with(operation)),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Entry, RandomState>> {
        // The registry assigns ascending ids, so neighbours differ in the low bits.
        let shard = &self.shards[(id as usize) % SHARDS];
        lock(shard)
    }
}
