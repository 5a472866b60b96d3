//! The functions `absent` and `absent_over_time`.

use super::{Evaluator, Sample, Step, StepValue};
use crate::engine::error::QueryError;
use crate::engine::syntax::{Expr, ExprKind};
use crate::labels::{Label, Labels, LabelsBuilder, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher};

impl Evaluator<'_> {
    pub(super) fn absent(&mut self, arg: &Expr, step: Step) -> Result<StepValue, QueryError> {
        let is_absent = self.eval_vector(arg, step)?.is_empty();
        Ok(StepValue::Vector(one_if(is_absent, arg)))
    }

    pub(super) fn absent_over_time(
        &mut self,
        arg: &Expr,
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let mut is_absent = true;
        self.for_each_window(arg, step, &mut |_, _, _| {
            is_absent = false;
            Ok(0)
        })?;
        Ok(StepValue::Vector(one_if(is_absent, arg)))
    }
}

fn one_if(is_absent: bool, arg: &Expr) -> Vec<Sample> {
    if !is_absent {
        return Vec::new();
    }
    let labels = match &arg.unwrap_parens().kind {
        ExprKind::Selector(selector) | ExprKind::Range(selector, _) => {
            labels_of(&selector.matchers)
        }
        _ => Labels::empty(),
    };
    vec![Sample::new(labels, 1.0)]
}

/// Returns the labels of the missing series: the labels with exactly one equality matcher.
fn labels_of(matchers: &[Matcher]) -> Labels {
    let mut builder = LabelsBuilder::default();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers
        .iter()
        .filter(|matcher| matcher.name() != METRIC_NAME)
    {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            builder.set(Label::new(matcher.name(), matcher.value()));
            seen.push(matcher.name());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}
