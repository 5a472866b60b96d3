//! Open spans that have no place in the table of inferences: in a map of our own, by span id, in shards.
//!
//! Not in the spans' extensions: other layers hold those while foreign code runs, and a lock that a panic of it
//! left poisoned would make ours panic too; and two of our Layers in one stack would meet there. Nothing foreign
//! runs, and no sink is called, while a shard is held.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::{open::State, operation::Operation};
use crate::observation::Kind;

/// Spans that are kept here at most; one that is never closed stays for ever.
const MOST: usize = 65_536;
const SHARDS: usize = 16;

/// An open span.
pub(super) enum Entry {
    /// An inference that found no place in its table.
    Inference(Arc<State>),
    /// Anything else.
    Operation(Box<Operation>),
}

/// What an open span is.
pub(super) enum Found {
    Inference(Arc<State>),
    Operation { kind: Kind, plan: u32 },
}

#[derive(Default)]
pub(super) struct Elsewhere {
    shards: [Mutex<HashMap<u64, Entry, RandomState>>; SHARDS],
    count: AtomicUsize,
}

impl Elsewhere {
    /// False if there are too many.
    pub(super) fn insert(&self, id: u64, entry: Entry) -> bool {
        if self.count.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        // A span whose close never came here left its id to this one.
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

    /// What this span is, if it is here.
    pub(super) fn find(&self, id: u64) -> Option<Found> {
        if self.is_empty() {
            return None;
        }
        Some(match self.shard(id).get(&id)? {
            Entry::Inference(state) => Found::Inference(Arc::clone(state)),
            Entry::Operation(operation) => Found::Operation {
                kind: operation.kind,
                plan: operation.plan,
            },
        })
    }

    /// What `with` makes of an operation.
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
        // The registry counts ids up, page by page: the low bits differ between neighbours.
        let shard = &self.shards[(id as usize) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
