//! Turns the text of a query into a typed tree, and the tree back into text.
//!
//! Own grammar rather than `promql-parser` 0.11: that one knows neither raw strings nor `\Q…\E`, gives errors
//! without a position, and takes seconds over deep input before anything can stop it. The flow is text →
//! `lexer` → `parser` (precedence climbing, with `types` checking every node as it is built) → `ast`.
//! Length is checked before the first character is read, nesting while nodes are built, so no input can
//! exhaust the stack, here or in the evaluator.

mod ast;
mod error;
mod functions;
mod lexer;
mod literal;
mod operand;
mod parser;
mod printer;
mod selector;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on says so by panicking, and its numbers are small"
)]
mod tests;
mod types;
mod walk;

pub use ast::{
    AggregateOp, Aggregation, At, Binary, BinaryOp, Cardinality, Expr, ExprKind, Extension,
    Grouping, Matching, Selector, Span, Subquery, TimeShift, ValueType,
};
pub use error::ParseError;
pub(super) use error::line_and_column;
pub use functions::Function;
pub(super) use functions::FunctionId;
pub use literal::{format_duration, parse_duration, parse_string};
pub(super) use parser::parse_numbered;
pub use parser::{ParseLimits, parse};
pub(super) use printer::is_plain_name;
