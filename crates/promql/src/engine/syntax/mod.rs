//! Parses the text of a query into a typed syntax tree, and prints the tree.
//!
//! The flow is text → `lexer` → `parser` (precedence climbing, with `types` checking each node) → `ast`. The parser checks
//! the length of the text first and the nesting while it builds nodes, so that no query exhausts the stack, here or in the
//! evaluator.
//!
//! The parser is not `promql-parser` 0.11, whose errors carry no position and which rejects `\Q…\E` in regular expressions.
//! Rules of Prometheus must load unchanged, and their authors need line and column of an error.

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
