//! What was decided about the last traces.

use std::collections::{HashMap, VecDeque};

/// What was decided about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Kept,
    SampledOut,
    /// There was no room for it, and nothing that kept it.
    Overflowed,
}

/// The last decisions; the oldest are forgotten.
pub(super) struct Decisions {
    of: HashMap<u128, Decision>,
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

    pub(super) fn of(&self, trace: u128) -> Option<Decision> {
        self.of.get(&trace).copied()
    }

    pub(super) fn remember(&mut self, trace: u128, decision: Decision) {
        if self.of.insert(trace, decision).is_some() {
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
            decisions.remember(trace, Decision::Kept);
        }
        decisions.remember(3, Decision::SampledOut);
        let found = [1, 2, 3].map(|trace| decisions.of(trace));
        let expected = [None, Some(Decision::Kept), Some(Decision::SampledOut)];
        assert_eq!(found, expected);
        assert_eq!((decisions.of.len(), decisions.order.len()), (2, 2));
    }
}
