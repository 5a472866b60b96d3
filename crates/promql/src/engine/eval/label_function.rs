//! The functions `label_replace` and `label_join`.

use super::call::argument;
use super::{Evaluator, Sample, Step, StepValue, check_distinct};
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{Expr, ExprKind, is_plain_name};
use crate::labels::{Label, LabelsBuilder, METRIC_NAME};
use crate::pattern::Pattern;
use crate::store::Point;

/// The maximum length of a label value that does not count as samples.
const MAX_UNCOUNTED_VALUE_BYTES: usize = 256;

impl Evaluator<'_> {
    pub(super) fn label_replace(
        &mut self,
        args: &[Expr],
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let text = |at: usize| argument(args, at).and_then(text_of);
        let (target, template, source, regex) = (text(1)?, text(2)?, text(3)?, text(4)?);
        let pattern = Pattern::new(regex).map_err(|_| {
            execution(format!(
                "invalid regular expression in label_replace(): {regex}"
            ))
        })?;
        self.check_name("destination label name in label_replace()", target)?;
        let mut samples = self.eval_vector(argument(args, 0)?, step)?;
        for sample in &mut samples {
            let value = sample.labels.get(source).unwrap_or("");
            if let Some(value) = pattern.expand(value, template) {
                self.keep_long(&value)?;
                set_label(sample, target, &value);
            }
        }
        finish(samples)
    }

    pub(super) fn label_join(
        &mut self,
        args: &[Expr],
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let target = text_of(argument(args, 1)?)?;
        let separator = text_of(argument(args, 2)?)?;
        let sources: Vec<&str> = args.iter().skip(3).map(text_of).collect::<Result<_, _>>()?;
        for source in &sources {
            self.check_name("source label name in label_join()", source)?;
        }
        self.check_name("destination label name in label_join()", target)?;
        let mut samples = self.eval_vector(argument(args, 0)?, step)?;
        for sample in &mut samples {
            let values: Vec<&str> = sample
                .name_and_values(&sources)
                .into_iter()
                .map(|v| v.unwrap_or(""))
                .collect();
            let value = values.join(separator);
            self.keep_long(&value)?;
            set_label(sample, target, &value);
        }
        finish(samples)
    }

    /// Counts the memory of a long label value as samples: a template of kilobytes makes a new value for each series.
    fn keep_long(&mut self, value: &str) -> Result<(), QueryError> {
        if value.len() <= MAX_UNCOUNTED_VALUE_BYTES {
            return Ok(());
        }
        self.budget.keep(value.len() / size_of::<Point>())
    }

    /// Checks a label name. Prometheus 3 accepts any UTF-8, Prometheus 2 only classic names.
    fn check_name(&self, what: &str, name: &str) -> Result<(), QueryError> {
        // The parser reads bytes that are not UTF-8 as the replacement character. Prometheus refuses such bytes.
        let is_text = !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER);
        let is_valid = is_text && (!self.options.left_closed_ranges || is_plain_name(name, false));
        if is_valid {
            return Ok(());
        }
        Err(execution(format!("invalid {what}: {name}")))
    }
}

impl Sample {
    fn name_and_values<'s>(&'s self, names: &[&str]) -> Vec<Option<&'s str>> {
        names.iter().map(|name| self.labels.get(name)).collect()
    }
}

fn text_of(expr: &Expr) -> Result<&str, QueryError> {
    match &expr.unwrap_parens().kind {
        ExprKind::String(text) => Ok(text),
        _ => Err(execution("a string was expected")),
    }
}

fn set_label(sample: &mut Sample, name: &str, value: &str) {
    let mut builder = LabelsBuilder::from_labels(&sample.labels);
    builder.set(Label::new(name, value));
    sample.labels = builder.build();
    if name == METRIC_NAME {
        sample.drops_name = false;
    }
}

fn finish(samples: Vec<Sample>) -> Result<StepValue, QueryError> {
    check_distinct(&samples)?;
    Ok(StepValue::Vector(samples))
}
