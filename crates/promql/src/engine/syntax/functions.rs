//! The table of functions of Prometheus 3: names, argument types and result types.
//!
//! Two further tables list the experimental functions and the functions on native histograms, so that the error of a query
//! that uses them gives the reason.

use super::ast::ValueType;
use ValueType::{Matrix, Scalar, String, Vector};

/// A `PromQL` function.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    pub(in crate::engine) id: FunctionId,
    /// The types of its arguments.
    pub args: &'static [ValueType],
    /// The number of trailing arguments that are optional. `None` if the last argument is repeatable.
    pub(super) optional: Option<usize>,
    /// The result type.
    pub returns: ValueType,
}

macro_rules! functions {
    ($($name:literal $id:ident ($($arg:ident),*) $optional:expr, $returns:ident;)*) => {
        /// The functions of the evaluator, by their `PromQL` names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::engine) enum FunctionId { $($id),* }

        /// The functions, sorted by name.
        pub(in crate::engine) static FUNCTIONS: &[Function] = &[$(
            Function {
                name: $name, id: FunctionId::$id, args: &[$($arg),*], optional: $optional, returns: $returns,
            },
        )*];
    };
}

functions! {
    "abs" Abs(Vector) Some(0), Vector;
    "absent" Absent(Vector) Some(0), Vector;
    "absent_over_time" AbsentOverTime(Matrix) Some(0), Vector;
    "acos" Acos(Vector) Some(0), Vector;
    "acosh" Acosh(Vector) Some(0), Vector;
    "asin" Asin(Vector) Some(0), Vector;
    "asinh" Asinh(Vector) Some(0), Vector;
    "atan" Atan(Vector) Some(0), Vector;
    "atanh" Atanh(Vector) Some(0), Vector;
    "avg_over_time" AvgOverTime(Matrix) Some(0), Vector;
    "ceil" Ceil(Vector) Some(0), Vector;
    "changes" Changes(Matrix) Some(0), Vector;
    "clamp" Clamp(Vector, Scalar, Scalar) Some(0), Vector;
    "clamp_max" ClampMax(Vector, Scalar) Some(0), Vector;
    "clamp_min" ClampMin(Vector, Scalar) Some(0), Vector;
    "cos" Cos(Vector) Some(0), Vector;
    "cosh" Cosh(Vector) Some(0), Vector;
    "count_over_time" CountOverTime(Matrix) Some(0), Vector;
    "day_of_month" DayOfMonth(Vector) Some(1), Vector;
    "day_of_week" DayOfWeek(Vector) Some(1), Vector;
    "day_of_year" DayOfYear(Vector) Some(1), Vector;
    "days_in_month" DaysInMonth(Vector) Some(1), Vector;
    "deg" Deg(Vector) Some(0), Vector;
    "delta" Delta(Matrix) Some(0), Vector;
    "deriv" Deriv(Matrix) Some(0), Vector;
    "exp" Exp(Vector) Some(0), Vector;
    "floor" Floor(Vector) Some(0), Vector;
    "histogram_fraction" HistogramFraction(Scalar, Scalar, Vector) Some(0), Vector;
    "histogram_quantile" HistogramQuantile(Scalar, Vector) Some(0), Vector;
    "holt_winters" HoltWinters(Matrix, Scalar, Scalar) Some(0), Vector;
    "hour" Hour(Vector) Some(1), Vector;
    "idelta" Idelta(Matrix) Some(0), Vector;
    "increase" Increase(Matrix) Some(0), Vector;
    "irate" Irate(Matrix) Some(0), Vector;
    "label_join" LabelJoin(Vector, String, String, String) None, Vector;
    "label_replace" LabelReplace(Vector, String, String, String, String) Some(0), Vector;
    "last_over_time" LastOverTime(Matrix) Some(0), Vector;
    "ln" Ln(Vector) Some(0), Vector;
    "log10" Log10(Vector) Some(0), Vector;
    "log2" Log2(Vector) Some(0), Vector;
    "max_over_time" MaxOverTime(Matrix) Some(0), Vector;
    "min_over_time" MinOverTime(Matrix) Some(0), Vector;
    "minute" Minute(Vector) Some(1), Vector;
    "month" Month(Vector) Some(1), Vector;
    "pi" Pi() Some(0), Scalar;
    "predict_linear" PredictLinear(Matrix, Scalar) Some(0), Vector;
    "present_over_time" PresentOverTime(Matrix) Some(0), Vector;
    "quantile_over_time" QuantileOverTime(Scalar, Matrix) Some(0), Vector;
    "rad" Rad(Vector) Some(0), Vector;
    "rate" Rate(Matrix) Some(0), Vector;
    "resets" Resets(Matrix) Some(0), Vector;
    "round" Round(Vector, Scalar) Some(1), Vector;
    "scalar" Scalar(Vector) Some(0), Scalar;
    "sgn" Sgn(Vector) Some(0), Vector;
    "sin" Sin(Vector) Some(0), Vector;
    "sinh" Sinh(Vector) Some(0), Vector;
    "sort" Sort(Vector) Some(0), Vector;
    "sort_desc" SortDesc(Vector) Some(0), Vector;
    "sqrt" Sqrt(Vector) Some(0), Vector;
    "stddev_over_time" StddevOverTime(Matrix) Some(0), Vector;
    "stdvar_over_time" StdvarOverTime(Matrix) Some(0), Vector;
    "sum_over_time" SumOverTime(Matrix) Some(0), Vector;
    "tan" Tan(Vector) Some(0), Vector;
    "tanh" Tanh(Vector) Some(0), Vector;
    "time" Time() Some(0), Scalar;
    "timestamp" Timestamp(Vector) Some(0), Vector;
    "vector" Vector(Scalar) Some(0), Vector;
    "year" Year(Vector) Some(1), Vector;
}

/// The experimental functions, and the modifiers that parse as calls, such as `fill(0)`.
const EXPERIMENTAL: [&str; 21] = [
    "double_exponential_smoothing",
    "end",
    "fill",
    "fill_left",
    "fill_right",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "timeseries_gen",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

const ON_NATIVE_HISTOGRAMS: [&str; 5] = [
    "histogram_avg",
    "histogram_count",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
];

/// Returns the function with this name, or the reason why it does not exist.
pub(super) fn find(name: &str) -> Result<&'static Function, std::string::String> {
    if let Ok(at) = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)) {
        return Ok(&FUNCTIONS[at]);
    }
    Err(if EXPERIMENTAL.contains(&name) {
        format!("function {name:?} is experimental in Prometheus 3 and not supported")
    } else if ON_NATIVE_HISTOGRAMS.contains(&name) {
        format!("function {name:?} works on native histograms, which are not supported")
    } else {
        format!("unknown function with name {name:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_name() {
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
    }
}
