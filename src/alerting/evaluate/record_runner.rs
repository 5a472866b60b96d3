//! A recording rule that runs.

use super::group::{RuleAt, query};
use super::health::Health;
use super::series::Written;
use crate::alerting::rule::compile::CompiledRecord;
use crate::query::{Label, Labels, LabelsBuilder};

#[derive(Debug)]
pub(super) struct RecordRunner {
    pub(super) compiled: CompiledRecord,
    pub(super) enabled: bool,
    pub(super) written: Written,
    pub(super) health: Health,
}

impl RecordRunner {
    pub(super) fn new(compiled: CompiledRecord) -> Self {
        Self {
            enabled: compiled.rule.enabled,
            compiled,
            written: Written::default(),
            health: Health::default(),
        }
    }

    /// Evaluates the rule and writes its series; returns how many samples were taken.
    pub(super) fn evaluate(&mut self, at: &RuleAt<'_>) -> Result<u64, String> {
        let source = at.surroundings.source;
        let found = query(source, &self.compiled.prepared, at.query_time)?;
        let mut samples = Vec::with_capacity(found.len());
        let mut seen = std::collections::HashSet::with_capacity(found.len());
        for sample in found {
            let labels = self.labels(&sample.labels);
            if !seen.insert(labels.clone()) {
                return Err(format!(
                    "vector contains metrics with the same labelset after applying rule labels: {labels}"
                ));
            }
            samples.push((labels, sample.point.value));
        }
        if samples.len() > at.limit {
            return Err(format!(
                "exceeded limit of {} with {} series",
                at.limit,
                samples.len()
            ));
        }
        Ok(self.written.write(source.store, at.query_time, &samples))
    }

    fn labels(&self, found: &Labels) -> Labels {
        let mut builder = LabelsBuilder::from_labels(found);
        builder.set(Label::new("__name__", self.compiled.rule.record.as_str()));
        for label in &self.compiled.labels {
            builder.set(label.clone());
        }
        builder.build()
    }
}
