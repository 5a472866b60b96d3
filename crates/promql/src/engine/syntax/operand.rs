//! Parses operands: literals, parentheses, calls, aggregations and selectors.

use super::ast::{AggregateOp, Aggregation, Expr, ExprKind, Grouping};
use super::error::PositionedError;
use super::functions;
use super::lexer::TokenKind;
use super::parser::Parser;

/// The keywords that are not valid as metric names. All other words are.
const RESERVED: [&str; 8] = [
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
    "atan2",
];

/// The aggregation operators that are experimental in Prometheus 3.
const EXPERIMENTAL: [&str; 2] = ["limitk", "limit_ratio"];

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Result<Expr, PositionedError> {
        let start = self.peek().span.start;
        let expr = match self.peek().kind.clone() {
            TokenKind::Number(value) => {
                self.advance();
                self.node(ExprKind::Number(value), start)?
            }
            TokenKind::Duration(milliseconds) => {
                self.advance();
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a duration as a number is in seconds"
                )]
                let seconds = milliseconds as f64 / 1000.0;
                self.node(ExprKind::Number(seconds), start)?
            }
            TokenKind::String(text) => {
                self.advance();
                self.node(ExprKind::String(text), start)?
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect_symbol(")", "paren expression")?;
                self.node(ExprKind::Paren(Box::new(inner)), start)?
            }
            TokenKind::Symbol("{") => self.selector(None)?,
            TokenKind::Word(word) => self.word(&word)?,
            TokenKind::Symbol(_) | TokenKind::End | TokenKind::Invalid(_) => {
                return Err(self.unexpected(""));
            }
        };
        self.suffixes(expr)
    }

    fn word(&mut self, word: &str) -> Result<Expr, PositionedError> {
        let start = self.peek().span.start;
        let lower = word.to_ascii_lowercase();
        let is_call = self.peek_second() == Some(&TokenKind::Symbol("("));
        let is_grouped = match self.peek_second() {
            Some(TokenKind::Word(next)) => {
                next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without")
            }
            _ => false,
        };
        if is_call || is_grouped {
            let found = AggregateOp::ALL.iter().find(|(name, _)| *name == lower);
            if let Some((_, op)) = found {
                return self.aggregation(*op);
            }
            if EXPERIMENTAL.contains(&lower.as_str()) {
                let message =
                    format!("{lower}() is experimental in Prometheus 3 and not supported");
                return Err(PositionedError::at(start, message));
            }
        }
        let number = match lower.as_str() {
            "inf" => Some(f64::INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        };
        if let Some(number) = number {
            self.advance();
            return self.node(ExprKind::Number(number), start);
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(self.unexpected(""));
        }
        if is_call {
            return self.call(word);
        }
        self.advance();
        self.selector(Some((word.to_owned(), start)))
    }

    fn call(&mut self, name: &str) -> Result<Expr, PositionedError> {
        let at = self.peek().span;
        let function =
            functions::find(name).map_err(|message| PositionedError::over(at, message))?;
        self.advance();
        let args = self.arguments("function call")?;
        self.node(ExprKind::Call(function, args), at.start)
    }

    fn arguments(&mut self, context: &str) -> Result<Vec<Expr>, PositionedError> {
        self.expect_symbol("(", context)?;
        let mut args = Vec::new();
        if self.take_symbol(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            if self.take_symbol(")") {
                return Ok(args);
            }
            let comma_at = self.peek().span;
            if !self.take_symbol(",") {
                return Err(self.unexpected(&format!(" in {context}, expected \",\" or \")\"")));
            }
            if self.is_symbol(")") {
                let message = "trailing commas not allowed in function call args";
                return Err(PositionedError::over(comma_at, message));
            }
        }
    }

    fn aggregation(&mut self, op: AggregateOp) -> Result<Expr, PositionedError> {
        let start = self.advance().span.start;
        let mut grouping = self.grouping()?;
        let mut args = self.arguments("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = 1 + usize::from(op.param_type().is_some());
        let fault = |message: String| Err(PositionedError::at(start, message));
        if args.is_empty() {
            return fault("no arguments for aggregate expression provided".to_owned());
        }
        if args.len() != wanted {
            return fault(format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            ));
        }
        let Some(expr) = args.pop() else {
            return fault("no arguments for aggregate expression provided".to_owned());
        };
        let aggregation = Aggregation {
            op,
            param: args.pop(),
            expr,
            grouping: grouping.unwrap_or_default(),
        };
        self.node(ExprKind::Aggregate(Box::new(aggregation)), start)
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, PositionedError> {
        let without = match self.peek_word().as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.advance();
        let labels = self.label_list("grouping opts")?;
        Ok(Some(Grouping { without, labels }))
    }
}
