//! The paths of spans: each node is an operation below the node of its parent.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::operations::{read, write};

/// The maximum number of nodes; further paths count to the node of their parent.
const MAX_NODES: usize = 4096;

/// The number of the root, which stands for no span.
pub(super) const ROOT: u32 = 0;

/// A node, with the sums of its own spans without their children.
pub(super) struct Node {
    pub(super) parent: u32,
    pub(super) operation: u32,
    pub(super) count: AtomicU64,
    pub(super) own_ns: AtomicU64,
    pub(super) idle_ns: AtomicU64,
}

pub(super) struct Paths {
    nodes: RwLock<Vec<Arc<Node>>>,
    by_place: RwLock<HashMap<(u32, u32), u32>>,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self {
            nodes: RwLock::new(vec![Arc::new(Node::new(ROOT, u32::MAX))]),
            by_place: RwLock::default(),
        }
    }

    /// Returns the number of the node of an operation below a parent.
    pub(super) fn number(&self, parent: u32, operation: u32) -> u32 {
        if let Some(number) = read(&self.by_place).get(&(parent, operation)) {
            return *number;
        }
        // Without the write lock, since each span of a further path comes here.
        if read(&self.nodes).len() >= MAX_NODES {
            return parent;
        }
        let (mut by_place, mut nodes) = (write(&self.by_place), write(&self.nodes));
        if nodes.len() >= MAX_NODES {
            return parent;
        }
        *by_place.entry((parent, operation)).or_insert_with(|| {
            nodes.push(Arc::new(Node::new(parent, operation)));
            nodes.len() as u32 - 1
        })
    }

    pub(super) fn record(&self, number: u32, own_ns: u64, idle_ns: u64) {
        if let Some(node) = read(&self.nodes).get(number as usize) {
            node.count.fetch_add(1, Relaxed);
            node.own_ns.fetch_add(own_ns, Relaxed);
            node.idle_ns.fetch_add(idle_ns, Relaxed);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        read(&self.nodes).clone()
    }
}

impl Node {
    fn new(parent: u32, operation: u32) -> Self {
        Self {
            parent,
            operation,
            count: AtomicU64::new(0),
            own_ns: AtomicU64::new(0),
            idle_ns: AtomicU64::new(0),
        }
    }
}
