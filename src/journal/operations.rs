//! The operations of the journal: spans of one callsite with one model or route.

use std::{
    collections::HashMap,
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::fast::FixedState;
use tracing::Metadata;

use super::quantiles::Quantiles;
use crate::{observation::OVERFLOW, privacy::Redaction, runtime::lock};

/// The maximum number of operations; further models and routes count to `_other` of their callsite.
const MAX_OPERATIONS: usize = 512;
/// The number of slowest spans that each operation keeps.
const MAX_SLOWEST: usize = 5;

/// The sums of an operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    /// The model, the route, or another bounded label; empty without such a field.
    pub(super) detail: String,
    pub(super) count: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) busy_ns: AtomicU64,
    pub(super) idle_ns: AtomicU64,
    pub(super) own_ns: AtomicU64,
    pub(super) busy: Quantiles,
    pub(super) idle: Quantiles,
    pub(super) own: Quantiles,
    slowest: Mutex<Vec<SlowSpan>>,
    /// The duration that a span must exceed to be among the slowest.
    slow_ns: AtomicU64,
}

/// A span among the slowest of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlowSpan {
    pub(super) duration_ns: u64,
    pub(super) busy_ns: u64,
    pub(super) own_ns: u64,
    pub(super) path: u32,
    pub(super) has_failed: bool,
}

pub(super) struct Operations {
    /// Masks keys and tokens in details.
    redaction: Arc<Redaction>,
    all: RwLock<Vec<Arc<Operation>>>,
    by_key: RwLock<HashMap<u64, u32>>,
}

impl Operations {
    pub(super) fn new(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            all: RwLock::default(),
            by_key: RwLock::default(),
        }
    }

    /// Returns the number of the operation of a callsite and a detail.
    pub(super) fn number(&self, metadata: &'static Metadata<'static>, detail: &str) -> u32 {
        let key = key(metadata, detail);
        if let Some(number) = read(&self.by_key).get(&key) {
            return *number;
        }
        self.add(metadata, detail, key)
    }

    #[cold]
    fn add(&self, metadata: &'static Metadata<'static>, detail: &str, key: u64) -> u32 {
        let is_full = read(&self.all).len() >= MAX_OPERATIONS;
        let overflow = self::key(metadata, OVERFLOW);
        // Without the write lock, since each span of a further model or route comes here.
        if is_full && let Some(number) = read(&self.by_key).get(&overflow) {
            return *number;
        }
        let cleaned = self.redaction.label("detail", detail);
        let shown = cleaned.as_deref().unwrap_or(detail);
        let (mut by_key, mut all) = (write(&self.by_key), write(&self.all));
        let is_full = all.len() >= MAX_OPERATIONS;
        let (key, shown) = if is_full {
            (overflow, OVERFLOW)
        } else {
            (key, shown)
        };
        *by_key.entry(key).or_insert_with(|| {
            all.push(Arc::new(Operation::new(metadata, shown)));
            all.len() as u32 - 1
        })
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<Operation>> {
        read(&self.all).get(number as usize).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Operation>> {
        read(&self.all).clone()
    }
}

impl Operation {
    fn new(metadata: &'static Metadata<'static>, detail: &str) -> Self {
        Self {
            name: metadata.name(),
            target: metadata.target(),
            detail: detail.to_owned(),
            count: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            idle_ns: AtomicU64::new(0),
            own_ns: AtomicU64::new(0),
            busy: Quantiles::new(),
            idle: Quantiles::new(),
            own: Quantiles::new(),
            slowest: Mutex::default(),
            slow_ns: AtomicU64::new(0),
        }
    }

    /// Returns the name with the detail: `inference gpt-4o`.
    pub(super) fn label(&self) -> String {
        if self.detail.is_empty() {
            self.name.to_owned()
        } else {
            format!("{} {}", self.name, self.detail)
        }
    }

    /// Adds a span that has closed.
    pub(super) fn record(&self, span: SlowSpan) {
        let idle_ns = span.duration_ns.saturating_sub(span.busy_ns);
        self.count.fetch_add(1, Relaxed);
        self.errors.fetch_add(span.has_failed.into(), Relaxed);
        for (sum, quantiles, value) in [
            (&self.busy_ns, &self.busy, span.busy_ns),
            (&self.idle_ns, &self.idle, idle_ns),
            (&self.own_ns, &self.own, span.own_ns),
        ] {
            sum.fetch_add(value, Relaxed);
            quantiles.record(value);
        }
        if span.duration_ns > self.slow_ns.load(Relaxed) {
            self.keep(span);
        }
    }

    #[cold]
    fn keep(&self, span: SlowSpan) {
        let mut slowest = lock(&self.slowest);
        let place = slowest.partition_point(|other| other.duration_ns > span.duration_ns);
        slowest.insert(place, span);
        slowest.truncate(MAX_SLOWEST);
        if slowest.len() == MAX_SLOWEST
            && let Some(last) = slowest.last()
        {
            self.slow_ns.store(last.duration_ns, Relaxed);
        }
    }

    pub(super) fn slowest(&self) -> Vec<SlowSpan> {
        lock(&self.slowest).clone()
    }
}

fn key(metadata: &'static Metadata<'static>, detail: &str) -> u64 {
    let callsite = std::ptr::from_ref(metadata).addr();
    FixedState::default().hash_one((callsite, detail))
}

pub(super) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
