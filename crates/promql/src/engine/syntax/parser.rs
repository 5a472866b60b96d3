//! Parses tokens into a syntax tree by precedence climbing.
//!
//! This module holds the cursor, the limits and the binary operators. `operand` parses operands, and `selector` parses
//! selectors and the suffixes of an expression (`[5m]`, `offset`, `@`, `anchored`, `smoothed`).

use super::ast::{AggregateOp, Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Span};
use super::error::{ParseError, PositionedError};
use super::lexer::{self, Token, TokenKind};
use super::types;

/// The maximum length and nesting of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// The maximum length in bytes. Default: 16,384 (16 KiB), which holds the multi-value variables of Grafana.
    pub length_bytes: usize,
    /// The maximum number of nodes from the root to a leaf. Default: 128.
    pub nesting: u16,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            length_bytes: 16 << 10,
            nesting: 128,
        }
    }
}

/// A syntax tree, and the number of its selectors and subqueries.
#[derive(Debug)]
pub(in crate::engine) struct Parsed {
    pub(in crate::engine) expr: Expr,
    pub(in crate::engine) slots: usize,
}

/// Parses a query.
///
/// # Errors
/// If the text is not a valid query or exceeds a limit. The error has line and column, and Prometheus's words.
pub fn parse(text: &str, limits: &ParseLimits) -> Result<Expr, ParseError> {
    parse_numbered(text, limits).map(|parsed| parsed.expr)
}

pub(in crate::engine) fn parse_numbered(
    text: &str,
    limits: &ParseLimits,
) -> Result<Parsed, ParseError> {
    parse_tokens(text, limits).map_err(|fault| fault.into_error(text))
}

fn parse_tokens(text: &str, limits: &ParseLimits) -> Result<Parsed, PositionedError> {
    if text.len() > limits.length_bytes {
        let message = format!(
            "query is {} bytes long, the limit of max_query_bytes is {}",
            text.len(),
            limits.length_bytes
        );
        return Err(PositionedError::at(0, message));
    }
    let mut parser = Parser {
        text,
        tokens: lexer::tokens(text),
        at: 0,
        level: 0,
        slots: 0,
        nesting: limits.nesting,
        first_semantic_error: None,
    };
    if parser.peek().kind == TokenKind::End {
        return Err(PositionedError::at(0, "no expression found in input"));
    }
    let expr = parser.expression(0)?;
    if parser.peek().kind != TokenKind::End {
        return Err(parser.unexpected(""));
    }
    if let Some(fault) = parser.first_semantic_error {
        return Err(fault);
    }
    Ok(Parsed {
        expr,
        slots: parser.slots,
    })
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// The current depth of the recursion.
    level: u16,
    slots: usize,
    nesting: u16,
    /// The first error in the meaning of the query, such as a wrong type. As in Prometheus, the parser reports it only if the
    /// syntax of the whole text is valid.
    first_semantic_error: Option<PositionedError>,
}

impl Parser<'_> {
    fn source(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> &Token {
        // The lexer always ends with `End` or `Invalid`, and `advance` passes neither.
        &self.tokens[self.at]
    }

    pub(super) fn peek_second(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if !matches!(token.kind, TokenKind::End | TokenKind::Invalid(_)) {
            self.at += 1;
        }
        token
    }

    /// Returns the index after the last token.
    pub(super) fn end(&self) -> u32 {
        self.at
            .checked_sub(1)
            .map_or(0, |at| self.tokens[at].span.end)
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Symbol(s) if s == symbol)
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    pub(super) fn expect_symbol(
        &mut self,
        symbol: &str,
        context: &str,
    ) -> Result<(), PositionedError> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!(" in {context}, expected {symbol:?}")))
    }

    /// Returns the next token in lower case if it is a word.
    pub(super) fn peek_word(&self) -> Option<String> {
        match &self.peek().kind {
            TokenKind::Word(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let is_next = self.peek_word().as_deref() == Some(keyword);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    pub(super) fn unexpected(&self, context: &str) -> PositionedError {
        let token = self.peek();
        let what = match &token.kind {
            TokenKind::Word(word) => described(word),
            TokenKind::String(text) => format!("string {text:?}"),
            TokenKind::Number(_) => format!("number {:?}", self.source(token.span)),
            TokenKind::Duration(_) => format!("duration {:?}", self.source(token.span)),
            TokenKind::Symbol(symbol) if BinaryOp::from_text(symbol).is_some() => {
                format!("<op:{symbol}>")
            }
            TokenKind::Symbol(symbol) => format!("{symbol:?}"),
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Invalid(message) => {
                return PositionedError::over(token.span, message.as_str());
            }
        };
        PositionedError::over(token.span, format!("unexpected {what}{context}"))
    }

    pub(super) fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Builds a node, and checks its types and its depth.
    pub(super) fn node(&mut self, kind: ExprKind, start: u32) -> Result<Expr, PositionedError> {
        let depth = types::depth_of_children(&kind).saturating_add(1);
        let span = Span {
            start,
            end: self.end(),
        };
        if depth > self.nesting {
            return Err(self.too_deep(start));
        }
        self.record(types::check(&kind, span));
        Ok(Expr { kind, span, depth })
    }

    /// Records the first error after which parsing continues.
    pub(super) fn record(&mut self, checked: Result<(), PositionedError>) {
        if let Err(fault) = checked {
            self.first_semantic_error.get_or_insert(fault);
        }
    }

    fn too_deep(&self, at: u32) -> PositionedError {
        PositionedError::at(
            at,
            format!("query is nested deeper than {} levels", self.nesting),
        )
    }

    /// Parses operands and the operators that bind more tightly than `min_precedence`.
    pub(super) fn expression(&mut self, min_precedence: u8) -> Result<Expr, PositionedError> {
        if self.level >= self.nesting {
            return Err(self.too_deep(self.peek().span.start));
        }
        self.level += 1;
        let result = self.expression_inside(min_precedence);
        self.level -= 1;
        result
    }

    fn expression_inside(&mut self, min_precedence: u8) -> Result<Expr, PositionedError> {
        let mut left = self.unary()?;
        while let Some(op) = self.peek_operator() {
            let precedence = op.precedence();
            if precedence <= min_precedence {
                break;
            }
            let start = left.span.start;
            let op_at = self.advance().span;
            let (returns_bool, matching) = self.binary_modifiers(op, (start, op_at))?;
            // `^` is the only right-associative operator.
            let right_precedence = precedence - u8::from(op == BinaryOp::Power);
            let right = self.expression(right_precedence)?;
            let checked = types::check_comparison(op, returns_bool, (&left, &right));
            self.record(checked.map_err(|message| PositionedError::over(op_at, message)));
            let binary = Binary {
                op,
                left,
                right,
                returns_bool,
                matching,
            };
            left = self.node(ExprKind::Binary(Box::new(binary)), start)?;
        }
        Ok(left)
    }

    fn peek_operator(&self) -> Option<BinaryOp> {
        match &self.peek().kind {
            TokenKind::Symbol(symbol) => BinaryOp::from_text(symbol),
            TokenKind::Word(word) => BinaryOp::from_text(word),
            _ => None,
        }
    }

    /// Parses a sign, which binds as tightly as `*`: `-2 ^ 2` is -4, `-a * b` is `(-a) * b`.
    fn unary(&mut self) -> Result<Expr, PositionedError> {
        let start = self.peek().span.start;
        let is_negative = self.is_symbol("-");
        if !is_negative && !self.is_symbol("+") {
            return self.operand();
        }
        self.advance();
        let operand = self.expression(BinaryOp::Multiply.precedence())?;
        self.record(types::check_unary(&operand, start));
        match (&operand.kind, is_negative) {
            (ExprKind::Number(value), true) => self.node(ExprKind::Number(-value), start),
            (_, false) => Ok(operand),
            (_, true) => self.node(ExprKind::Negate(Box::new(operand)), start),
        }
    }

    /// Parses the modifiers of a binary operator. Their errors have the operator's position, as in Prometheus.
    fn binary_modifiers(
        &mut self,
        op: BinaryOp,
        (start, op_at): (u32, Span),
    ) -> Result<(bool, Matching), PositionedError> {
        let returns_bool = self.take_word("bool");
        if returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.record(Err(PositionedError::over(op_at, message)));
        }
        let mut matching = Matching::default();
        if op.is_set() {
            matching.cardinality = Cardinality::ManyToMany;
        }
        match self.peek_word().as_deref() {
            Some("on") => matching.on = true,
            Some("ignoring") => {}
            _ => return Ok((returns_bool, matching)),
        }
        self.advance();
        matching.labels = self.label_list("grouping opts")?;

        let cardinality = match self.peek_word().as_deref() {
            Some("group_left") => Cardinality::ManyToOne,
            Some("group_right") => Cardinality::OneToMany,
            _ => return Ok((returns_bool, matching)),
        };
        self.advance();
        if op.is_set() {
            let message = format!("no grouping allowed for \"{op}\" operation");
            self.record(Err(PositionedError::at(start, message)));
        }
        matching.cardinality = cardinality;
        if self.is_symbol("(") {
            matching.include = self.label_list("grouping opts")?;
        }
        if let Some(label) = matching
            .include
            .iter()
            .find(|l| matching.labels.contains(l))
            && matching.on
        {
            let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
            self.record(Err(PositionedError::over(op_at, message)));
        }
        Ok((returns_bool, matching))
    }

    /// Parses a list such as `(a, b, "c.d")`, with an optional comma at the end.
    pub(super) fn label_list(&mut self, context: &str) -> Result<Vec<String>, PositionedError> {
        self.expect_symbol("(", context)?;
        let mut labels = Vec::new();
        while !self.take_symbol(")") {
            let at = self.peek().span;
            match &self.peek().kind {
                TokenKind::Word(label) if !label.contains(':') => labels.push(label.clone()),
                TokenKind::String(label) if !label.is_empty() => labels.push(label.clone()),
                TokenKind::Word(label) | TokenKind::String(label) => {
                    let message = format!("invalid label name for grouping: {label:?}");
                    return Err(PositionedError::over(at, message));
                }
                _ => {
                    return Err(self.unexpected(&format!(" in {context}, expected label")));
                }
            }
            self.advance();
            if !self.take_symbol(",") && !self.is_symbol(")") {
                return Err(self.unexpected(&format!(" in {context}, expected \",\" or \")\"")));
            }
        }
        Ok(labels)
    }
}

/// Describes a word for an error message, with keywords in angle brackets.
fn described(word: &str) -> String {
    const KEYWORDS: [&str; 12] = [
        "anchored",
        "smoothed",
        "offset",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "start",
        "end",
    ];
    let lower = word.to_ascii_lowercase();
    if KEYWORDS.contains(&lower.as_str()) {
        format!("<{word}>")
    } else if BinaryOp::from_text(&lower).is_some() {
        format!("<op:{word}>")
    } else if AggregateOp::ALL.iter().any(|(name, _)| *name == lower) {
        format!("<aggr:{word}>")
    } else if lower == "inf" || lower == "nan" {
        format!("number {word:?}")
    } else {
        format!("identifier {word:?}")
    }
}
