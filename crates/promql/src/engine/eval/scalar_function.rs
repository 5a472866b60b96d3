//! The functions from a number to a number.

use super::date;
use super::math::{go_max, go_min};
use crate::engine::syntax::FunctionId;

/// Returns the implementation of a function of one value with scalar parameters `params`.
pub(super) fn function(id: FunctionId, params: [f64; 2]) -> Option<impl Fn(f64) -> f64> {
    let [first, second] = params;
    let plain: fn(f64) -> f64 = match id {
        FunctionId::Abs => f64::abs,
        FunctionId::Ceil => f64::ceil,
        FunctionId::Floor => f64::floor,
        FunctionId::Exp => f64::exp,
        FunctionId::Sqrt => f64::sqrt,
        FunctionId::Ln => f64::ln,
        FunctionId::Log2 => f64::log2,
        FunctionId::Log10 => f64::log10,
        FunctionId::Sin => f64::sin,
        FunctionId::Cos => f64::cos,
        FunctionId::Tan => f64::tan,
        FunctionId::Asin => f64::asin,
        FunctionId::Acos => f64::acos,
        FunctionId::Atan => f64::atan,
        FunctionId::Sinh => f64::sinh,
        FunctionId::Cosh => f64::cosh,
        FunctionId::Tanh => f64::tanh,
        FunctionId::Asinh => f64::asinh,
        FunctionId::Acosh => f64::acosh,
        FunctionId::Atanh => f64::atanh,
        FunctionId::Deg => |value| value * 180.0 / std::f64::consts::PI,
        FunctionId::Rad => |value| value * std::f64::consts::PI / 180.0,
        FunctionId::Sgn => sign,
        FunctionId::DayOfMonth => |value| date::of(value).day_of_month(),
        FunctionId::DayOfWeek => |value| date::of(value).day_of_week(),
        FunctionId::DayOfYear => |value| date::of(value).day_of_year(),
        FunctionId::DaysInMonth => |value| date::of(value).days_in_month(),
        FunctionId::Hour => |value| date::of(value).hour(),
        FunctionId::Minute => |value| date::of(value).minute(),
        FunctionId::Month => |value| date::of(value).month(),
        FunctionId::Year => |value| date::of(value).year(),
        FunctionId::Clamp | FunctionId::ClampMin | FunctionId::ClampMax | FunctionId::Round => {
            |v| v
        }
        _ => return None,
    };
    Some(move |value: f64| match id {
        FunctionId::Clamp => go_max(first, go_min(second, value)),
        FunctionId::ClampMin => go_max(first, value),
        FunctionId::ClampMax => go_min(first, value),
        // As in Prometheus, multiplying by the inverse rounds less.
        FunctionId::Round => {
            let inverse = 1.0 / first;
            (value * inverse + 0.5).floor() / inverse
        }
        _ => plain(value),
    })
}

/// Returns the sign of a value. Zero and NaN stay unchanged.
fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}
