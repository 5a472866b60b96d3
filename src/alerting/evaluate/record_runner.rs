//! Evaluates a recording rule.

use super::group::{RuleContext, query};
use super::health::RuleHealth;
use super::series::WrittenSeries;
use crate::alerting::rule::compile::CompiledRecord;
use crate::query::{Label, Labels, LabelsBuilder};

#[derive(Debug)]
pub(super) struct RecordRunner {
    pub(super) compiled: CompiledRecord,
    pub(super) enabled: bool,
    pub(super) series: WrittenSeries,
    pub(super) health: RuleHealth,
}

impl RecordRunner {
    pub(super) fn new(compiled: CompiledRecord) -> Self {
        Self {
            enabled: compiled.rule.enabled,
            compiled,
            series: WrittenSeries::default(),
            health: RuleHealth::default(),
        }
    }

    /// Evaluates the rule and writes its series; returns the number of samples that the store accepted.
    pub(super) fn evaluate(&mut self, at: &RuleContext<'_>) -> Result<u64, String> {
        let source = at.context.source;
        let results = query(source, &self.compiled.prepared, at.query_time)?;
        let mut samples = Vec::with_capacity(results.len());
        let mut label_sets = std::collections::HashSet::with_capacity(results.len());
        for sample in results {
            let labels = self.labels(&sample.labels);
            if !label_sets.insert(labels.clone()) {
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
        Ok(self.series.write(source.store, at.query_time, &samples))
    }

    fn labels(&self, result: &Labels) -> Labels {
        let mut builder = LabelsBuilder::from_labels(result);
        builder.set(Label::new("__name__", self.compiled.rule.record.as_str()));
        for label in &self.compiled.labels {
            builder.set(label.clone());
        }
        builder.build()
    }
}
