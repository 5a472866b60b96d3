//! Remembers the decisions on the most recent traces.

use std::collections::{HashMap, VecDeque};

/// The decision of the tail sampler on a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Kept,
    SampledOut,
    /// The trace was evicted, and no condition of the policy had matched.
    Overflowed,
}

/// The most recent decisions. A new decision replaces the oldest.
pub(super) struct Decisions {
    of: HashMap<u128, Decision>,
    order: VecDeque<u128>,
    max: usize,
}

impl Decisions {
    pub(super) fn new(max: usize) -> Self {
        Self {
            of: HashMap::new(),
            order: VecDeque::new(),
            max,
        }
    }

    pub(super) fn of(&self, trace: u128) -> Option<Decision> {
        self.of.get(&trace).copied()
    }

    pub(super) fn remember(&mut self, trace: u128, decision: Decision) {
        if self.of.insert(trace, decision).is_some() {
            return;
        }
        self.order.push_back(trace);
        if self.order.len() > self.max
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
            decisions.remember(trace, Decision::Kept);
        }
        decisions.remember(3, Decision::SampledOut);
        let found = [1, 2, 3].map(|trace| decisions.of(trace));
        let expected = [None, Some(Decision::Kept), Some(Decision::SampledOut)];
        assert_eq!(found, expected);
        assert_eq!((decisions.of.len(), decisions.order.len()), (2, 2));
    }
}
