//! The errors of the parser, with positions, in Prometheus's words.

use super::ast::Span;

/// The error of an invalid query: `1:5: parse error: unexpected end of input`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
#[non_exhaustive]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in bytes, counted from 1.
    pub column: u32,
    /// The description of the error.
    pub message: String,
}

/// An error with its position, before the position is converted to line and column.
#[derive(Debug)]
pub(super) struct PositionedError {
    pub(super) at: u32,
    pub(super) message: String,
}

impl PositionedError {
    pub(super) fn at(at: u32, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    pub(super) fn over(span: Span, message: impl Into<String>) -> Self {
        Self::at(span.start, message)
    }

    pub(super) fn into_error(self, text: &str) -> ParseError {
        let (line, column) = line_and_column(text, self.at);
        ParseError {
            line,
            column,
            message: self.message,
        }
    }
}

/// Converts a byte index to line and column, both from 1; columns count bytes, as in Prometheus.
pub(in crate::engine) fn line_and_column(text: &str, at: u32) -> (u32, u32) {
    let before = text
        .as_bytes()
        .get(..at as usize)
        .unwrap_or(text.as_bytes());
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |p| p + 1);
    let lines = before.split(|b| *b == b'\n').count() - 1;
    let count = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    (count(lines), count(before.len() - line_start))
}
