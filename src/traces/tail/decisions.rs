//! What was decided about the last traces.

use std::collections::{HashMap, VecDeque};

/// The last decisions; the oldest are forgotten.
pub(super) struct Decisions {
    of: HashMap<u128, bool>,
    order: VecDeque<u128>,
    most: usize,
}

impl Decisions {
    pub(super) fn new(most: usize) -> Self {
        Self {
            of: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    pub(super) fn of(&self, trace: u128) -> Option<bool> {
        self.of.get(&trace).copied()
    }

    pub(super) fn remember(&mut self, trace: u128, is_kept: bool) {
        if self.of.insert(trace, is_kept).is_some() {
            return;
        }
        self.order.push_back(trace);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_decision_is_forgotten() {
        let mut decisions = Decisions::new(2);
        for trace in 1..=3 {
            decisions.remember(trace, trace % 2 == 0);
        }
        let found = [1, 2, 3].map(|trace| decisions.of(trace));
        assert_eq!(found, [None, Some(true), Some(false)]);
        assert_eq!((decisions.of.len(), decisions.order.len()), (2, 2));
    }
}
