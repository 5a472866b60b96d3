//! Binary operators on two numbers.

use crate::engine::syntax::BinaryOp;

/// Returns the result, and for a comparison whether the comparison holds.
#[expect(clippy::float_cmp, reason = "`==` of the language is that of floats")]
pub(super) fn apply(op: BinaryOp, left: f64, right: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Subtract => (left - right, true),
        BinaryOp::Multiply => (left * right, true),
        BinaryOp::Divide => (left / right, true),
        BinaryOp::Modulo => (left % right, true),
        BinaryOp::Power => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Equal => (left, left == right),
        BinaryOp::NotEqual => (left, left != right),
        BinaryOp::Greater => (left, left > right),
        BinaryOp::GreaterOrEqual => (left, left >= right),
        BinaryOp::Less => (left, left < right),
        BinaryOp::LessOrEqual => (left, left <= right),
        // The parser allows set operators only between vectors.
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => (left, true),
    }
}
