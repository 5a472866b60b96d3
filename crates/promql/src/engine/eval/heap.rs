//! A bounded heap of the largest or smallest samples of a group.
//!
//! The order of moves in the heap decides which of several equal values stay. The moves follow Go's `container/heap`, so
//! that a rule with ties gives the same series as in Prometheus.

use super::Sample;

/// A heap with the next sample to evict at index 0.
#[derive(Debug)]
pub(super) struct BestOf {
    pub(super) heap: Vec<Sample>,
    is_top: bool,
}

impl BestOf {
    pub(super) fn new(is_top: bool) -> Self {
        Self {
            heap: Vec::new(),
            is_top,
        }
    }

    pub(super) fn offer(&mut self, sample: Sample, count: usize) {
        if self.heap.len() < count {
            self.heap.push(sample);
            self.move_up();
            return;
        }
        let Some(worst) = self.heap.first_mut() else {
            return;
        };
        let is_better = if self.is_top {
            sample.value > worst.value
        } else {
            sample.value < worst.value
        };
        if is_better || (worst.value.is_nan() && !sample.value.is_nan()) {
            *worst = sample;
            self.move_down();
        }
    }

    fn is_worse(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.heap[a].value, self.heap[b].value);
        a.is_nan() || if self.is_top { a < b } else { a > b }
    }

    fn move_up(&mut self) {
        let mut at = self.heap.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.is_worse(at, parent) {
                return;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn move_down(&mut self) {
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                return;
            }
            if child + 1 < self.heap.len() && self.is_worse(child + 1, child) {
                child += 1;
            }
            if !self.is_worse(child, at) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}
