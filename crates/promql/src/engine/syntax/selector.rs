//! Parses selectors and the suffixes of an expression: ranges, subqueries, `offset`, `@`, `anchored` and `smoothed`.

use super::ast::{At, Expr, ExprKind, Extension, Selector, Span, Subquery, TimeShift, ValueType};
use super::error::PositionedError;
use super::lexer::TokenKind;
use super::parser::Parser;
use crate::engine::number::format_number;
use crate::labels::METRIC_NAME;
use crate::matcher::{MatchOp, Matcher};

impl Parser<'_> {
    /// Parses the braces after a name, which is already read, or braces without a name.
    pub(super) fn selector(
        &mut self,
        name: Option<(String, u32)>,
    ) -> Result<Expr, PositionedError> {
        let start = name.as_ref().map_or(self.peek().span.start, |(_, at)| *at);
        let is_before_braces = name.is_some();
        let mut name = name.map(|(name, _)| name);
        // The errors of matchers on the name have the position of the selector.
        let mut matchers = Vec::new();
        if self.take_symbol("{") {
            while !self.take_symbol("}") {
                self.matcher((&mut name, start), &mut matchers)?;
                if !self.take_symbol(",") && !self.is_symbol("}") {
                    let context = " in label matching, expected \",\" or \"}\"";
                    return Err(self.unexpected(context));
                }
            }
        }
        if let Some(name) = name {
            let is_name = |m: &&Matcher| m.name() == METRIC_NAME && m.op() == MatchOp::Equal;
            if is_before_braces && let Some(other) = matchers.iter().find(is_name) {
                let other = other.value();
                let message = format!("metric name must not be set twice: {name:?} or {other:?}");
                self.record(Err(PositionedError::at(start, message)));
            }
            matchers.push(Matcher::equal(METRIC_NAME, name));
        } else if matchers.iter().all(|matcher| matcher.is_match("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            self.record(Err(PositionedError::at(start, message)));
        }
        let slot = self.next_slot();
        let shift = TimeShift::default();
        let selector = Selector {
            matchers,
            shift,
            extension: Extension::None,
            slot,
        };
        self.node(ExprKind::Selector(selector), start)
    }

    /// Parses `label="value"`, `"label.with.dots"=~"value"` or, once, `"metric.name"`.
    fn matcher(
        &mut self,
        (metric, selector_at): (&mut Option<String>, u32),
        matchers: &mut Vec<Matcher>,
    ) -> Result<(), PositionedError> {
        let at = self.peek().span;
        let label = match &self.peek().kind {
            TokenKind::Word(label) => label.clone(),
            TokenKind::String(text) => text.clone(),
            _ => return Err(self.unexpected(" in label matching, expected identifier or \"}\"")),
        };
        let is_string = matches!(self.advance().kind, TokenKind::String(_));
        let op = match &self.peek().kind {
            TokenKind::Symbol("=") => MatchOp::Equal,
            TokenKind::Symbol("!=") => MatchOp::NotEqual,
            TokenKind::Symbol("=~") => MatchOp::Regex,
            TokenKind::Symbol("!~") => MatchOp::NotRegex,
            TokenKind::Symbol("," | "}") if is_string => {
                if let Some(other) = metric {
                    let message =
                        format!("metric name must not be set twice: {other:?} or {label:?}");
                    return Err(PositionedError::at(selector_at, message));
                }
                *metric = Some(label);
                return Ok(());
            }
            _ if is_string => {
                return Err(self.unexpected(" in label matching, expected \",\" or \"}\""));
            }
            _ => {
                return Err(self.unexpected(" in label matching, expected label matching operator"));
            }
        };
        self.advance();
        let TokenKind::String(value) = self.peek().kind.clone() else {
            return Err(self.unexpected(" in label matching, expected string"));
        };
        self.advance();
        let matcher = Matcher::new(label, op, value)
            .map_err(|error| PositionedError::over(at, with_cause(&error)))?;
        matchers.push(matcher);
        Ok(())
    }

    /// Parses the suffixes of an expression, which bind more tightly than any operator.
    pub(super) fn suffixes(&mut self, mut expr: Expr) -> Result<Expr, PositionedError> {
        let mut used = UsedModifiers::default();
        loop {
            let at = expr.span;
            let bracket_at = self.peek().span.start;
            if self.take_symbol("[") {
                expr = self.range_or_subquery(expr, used, bracket_at)?;
                used = UsedModifiers::default();
            } else if self.take_word("offset") {
                if std::mem::replace(&mut used.offset, true) {
                    return Err(PositionedError::over(
                        at,
                        "offset may not be set multiple times",
                    ));
                }
                let offset = self.signed_duration("offset")?;
                let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                shift_of(&mut expr)
                    .ok_or_else(|| PositionedError::over(at, message))?
                    .offset = offset;
            } else if self.take_symbol("@") {
                if std::mem::replace(&mut used.at, true) {
                    let message = "@ <timestamp> may not be set multiple times";
                    return Err(PositionedError::over(at, message));
                }
                let time = self.at_time(at)?;
                let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                shift_of(&mut expr)
                    .ok_or_else(|| PositionedError::over(at, message))?
                    .at = Some(time);
            } else if self.take_word("anchored") {
                extend(&mut expr, Extension::Anchored)?;
            } else if self.take_word("smoothed") {
                extend(&mut expr, Extension::Smoothed)?;
            } else {
                return Ok(expr);
            }
            expr.span.end = self.end();
        }
    }

    fn range_or_subquery(
        &mut self,
        expr: Expr,
        used: UsedModifiers,
        range_at: u32,
    ) -> Result<Expr, PositionedError> {
        let start = expr.span.start;
        let range = self.positive_duration()?;
        if self.take_symbol(":") {
            let step = if self.is_symbol("]") {
                None
            } else {
                Some(self.positive_duration()?)
            };
            self.expect_symbol("]", "subquery selector")?;
            if expr.value_type() != ValueType::Vector {
                let message = format!(
                    "subquery is only allowed on instant vector, got {} instead",
                    name_within(expr.value_type())
                );
                self.record(Err(PositionedError::at(start, message)));
            }
            let subquery = Subquery {
                expr,
                range,
                step,
                shift: TimeShift::default(),
                slot: self.next_slot(),
            };
            return self.node(ExprKind::Subquery(Box::new(subquery)), start);
        }
        self.expect_symbol("]", "subquery or range selector")?;
        let ExprKind::Selector(selector) = expr.kind else {
            return Err(PositionedError::at(
                range_at,
                "ranges only allowed for vector selectors",
            ));
        };
        if used.offset {
            return Err(PositionedError::at(
                range_at,
                "no offset modifiers allowed before range",
            ));
        }
        if used.at {
            return Err(PositionedError::at(
                range_at,
                "no @ modifiers allowed before range",
            ));
        }
        self.node(ExprKind::Range(selector, range), start)
    }

    fn positive_duration(&mut self) -> Result<i64, PositionedError> {
        let at = self.peek().span;
        let milliseconds = self.signed_duration("subquery selector")?;
        self.refuse_duration_expression(at)?;
        if milliseconds <= 0 {
            return Err(PositionedError::over(at, "duration must be greater than 0"));
        }
        Ok(milliseconds)
    }

    fn signed_duration(&mut self, context: &str) -> Result<i64, PositionedError> {
        if self.take_symbol("-") {
            return Ok(-self.duration(context)?);
        }
        self.take_symbol("+");
        self.duration(context)
    }

    /// Refuses `[5m + 1m]`, which is experimental in Prometheus 3.
    fn refuse_duration_expression(&self, at: Span) -> Result<(), PositionedError> {
        match self.peek().kind {
            TokenKind::Symbol("+" | "-" | "*" | "/" | "%" | "^" | "(") => {
                let message = "experimental duration expression is not enabled";
                Err(PositionedError::over(at, message))
            }
            _ => Ok(()),
        }
    }

    /// Parses `5m`, or a number of seconds as Prometheus 3 does.
    fn duration(&mut self, context: &str) -> Result<i64, PositionedError> {
        let milliseconds = match self.peek().kind {
            TokenKind::Duration(milliseconds) => milliseconds,
            TokenKind::Number(seconds) => milliseconds(seconds)
                .filter(|ms| ms.abs() <= i64::MAX / 1_000_000)
                .ok_or_else(|| PositionedError::over(self.peek().span, "duration out of range"))?,
            TokenKind::Symbol("(") => {
                self.refuse_duration_expression(self.peek().span)?;
                return Err(self.unexpected(""));
            }
            _ => {
                let context = format!(" in {context}, expected number or duration");
                return Err(self.unexpected(&context));
            }
        };
        self.advance();
        Ok(milliseconds)
    }

    fn at_time(&mut self, expr: Span) -> Result<At, PositionedError> {
        if let Some(word) = self.peek_word()
            && let Some(time) = match word.as_str() {
                "start" => Some(At::Start),
                "end" => Some(At::End),
                _ => None,
            }
        {
            self.advance();
            self.expect_symbol("(", "@")?;
            self.expect_symbol(")", "@")?;
            return Ok(time);
        }
        let sign = if self.take_symbol("-") { -1.0 } else { 1.0 };
        if sign > 0.0 {
            self.take_symbol("+");
        }
        let seconds = match (&self.peek().kind, self.peek_word().as_deref()) {
            (TokenKind::Number(seconds), _) => *seconds,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a duration as a number is in seconds"
            )]
            (TokenKind::Duration(milliseconds), _) => *milliseconds as f64 / 1000.0,
            (TokenKind::Word(_), Some("inf")) => f64::INFINITY,
            (TokenKind::Word(_), Some("nan")) => f64::NAN,
            _ => return Err(self.unexpected(" in @, expected timestamp")),
        };
        self.advance();
        let seconds = sign * seconds;
        milliseconds(seconds).map(At::Timestamp).ok_or_else(|| {
            let message = match format_number(seconds).as_str() {
                text @ ("NaN" | "+Inf" | "-Inf") => text.to_owned(),
                _ => format!("{seconds:.6}"),
            };
            let message = format!("timestamp out of bounds for @ modifier: {message}");
            PositionedError::over(expr, message)
        })
    }
}

/// The modifiers that an expression already has. Each modifier is allowed once.
#[derive(Clone, Copy, Default)]
struct UsedModifiers {
    offset: bool,
    at: bool,
}

/// Sets `anchored` or `smoothed` of a selector.
fn extend(expr: &mut Expr, extension: Extension) -> Result<(), PositionedError> {
    let at = expr.span;
    let fault = |message: String| Err(PositionedError::over(at, message));
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range(selector, _) => {
            if ![Extension::None, extension].contains(&selector.extension) {
                return fault("anchored and smoothed modifiers cannot be used together".to_owned());
            }
            selector.extension = extension;
            Ok(())
        }
        ExprKind::Subquery(_) => fault(format!(
            "{extension} modifier is not supported for subqueries"
        )),
        _ => fault(format!("{extension} modifier not implemented")),
    }
}

fn shift_of(expr: &mut Expr) -> Option<&mut TimeShift> {
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range(selector, _) => Some(&mut selector.shift),
        ExprKind::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}

/// Returns the name of a type in the error of a subquery.
fn name_within(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

/// Converts seconds to milliseconds, rounded. Returns `None` on overflow.
fn milliseconds(seconds: f64) -> Option<i64> {
    let rounded = (seconds * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range has just been checked"
    )]
    (rounded.abs() < 9.2e18).then_some(rounded as i64)
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
