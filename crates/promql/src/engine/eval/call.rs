//! Evaluates function calls and their arguments.

use super::{Evaluator, Sample, Step, StepValue, extended, scalar_function};
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{Expr, ExprKind, FunctionId, ValueType};
use crate::labels::Labels;

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        id: FunctionId,
        args: &[Expr],
        (expr, step): (&Expr, Step),
    ) -> Result<StepValue, QueryError> {
        let range = args
            .iter()
            .find(|arg| arg.value_type() == ValueType::Matrix);
        if let Some(range) = range {
            if let ExprKind::Call(function, _) = &expr.kind {
                extended::check_function(function, range)?;
            }
            return match id {
                FunctionId::AbsentOverTime => self.absent_over_time(&args[0], step),
                _ => self.range_call(id, args, step),
            };
        }
        match id {
            FunctionId::Time => Ok(StepValue::Scalar(seconds(step.time))),
            FunctionId::Pi => Ok(StepValue::Scalar(std::f64::consts::PI)),
            FunctionId::Vector => {
                let value = self.eval_scalar(argument(args, 0)?, step)?;
                Ok(StepValue::Vector(vec![Sample::new(Labels::empty(), value)]))
            }
            FunctionId::Scalar => {
                let samples = self.eval_vector(argument(args, 0)?, step)?;
                let value = match samples.as_slice() {
                    [sample] => sample.value,
                    _ => f64::NAN,
                };
                Ok(StepValue::Scalar(value))
            }
            FunctionId::Timestamp => self.timestamp(argument(args, 0)?, step),
            FunctionId::Absent => self.absent(argument(args, 0)?, step),
            FunctionId::Sort | FunctionId::SortDesc => {
                let samples = self.eval_vector(argument(args, 0)?, step)?;
                Ok(StepValue::Vector(super::order::sorted(
                    samples,
                    id == FunctionId::SortDesc,
                )))
            }
            FunctionId::LabelReplace => self.label_replace(args, step),
            FunctionId::LabelJoin => self.label_join(args, step),
            FunctionId::HistogramQuantile => self.histogram_quantile(args, step),
            FunctionId::HistogramFraction => self.histogram_fraction(args, step),
            _ => self.scalar_call(id, args, (expr, step)),
        }
    }

    /// Calls a function of the values of an instant vector.
    fn scalar_call(
        &mut self,
        id: FunctionId,
        args: &[Expr],
        (expr, step): (&Expr, Step),
    ) -> Result<StepValue, QueryError> {
        let mut params = [1.0; 2];
        for (param, arg) in params.iter_mut().zip(args.iter().skip(1)) {
            *param = self.eval_scalar(arg, step)?;
        }
        let Some(function) = scalar_function::function(id, params) else {
            return Err(execution(format!("function {expr} is not supported")));
        };
        let Some(vector) = args.first() else {
            // Without an argument, the date functions take the evaluation time.
            let value = function(seconds(step.time).floor());
            return Ok(StepValue::Vector(vec![Sample::new(Labels::empty(), value)]));
        };
        let mut samples = self.eval_vector(vector, step)?;
        if id == FunctionId::Clamp && params[1] < params[0] {
            samples.clear();
        }
        for sample in &mut samples {
            sample.value = function(sample.value);
        }
        self.drop_names(&mut samples)?;
        Ok(StepValue::Vector(samples))
    }

    /// Returns the sample times of a selector, or the evaluation time for any other expression.
    fn timestamp(&mut self, arg: &Expr, step: Step) -> Result<StepValue, QueryError> {
        let mut samples = Vec::new();
        if let ExprKind::Selector(selector) = &arg.unwrap_parens().kind {
            self.for_each_latest(selector, step, &mut |labels, point| {
                samples.push(Sample::new(labels.clone(), seconds(point.timestamp)));
            })?;
        } else {
            samples = self.eval_vector(arg, step)?;
            for sample in &mut samples {
                sample.value = seconds(step.time);
            }
        }
        self.drop_names(&mut samples)?;
        Ok(StepValue::Vector(samples))
    }
}

pub(super) fn argument(args: &[Expr], at: usize) -> Result<&Expr, QueryError> {
    args.get(at)
        .ok_or_else(|| execution("a function lacks an argument"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this era are exact in a float"
)]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
