//! Turns tokens into a tree by precedence climbing.
//!
//! This file holds the cursor, the limits and the binary operators; `operand` reads what stands between
//! operators, `selector` reads braces and what may follow an expression (`[5m]`, `offset`, `@`).

use super::ast::{AggregateOp, Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Span};
use super::error::{Fault, ParseError};
use super::lexer::{self, Token, TokenKind};
use super::types;

/// How large a query may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Bytes of text. Default: 4,096.
    pub length_bytes: usize,
    /// Nodes from the root to the deepest one. Default: 128.
    pub nesting: u16,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            length_bytes: 4096,
            nesting: 128,
        }
    }
}

/// A query's tree and how many selectors and subqueries were numbered in it.
#[derive(Debug)]
pub(in crate::engine) struct Parsed {
    pub(in crate::engine) expr: Expr,
    pub(in crate::engine) slots: usize,
}

/// Parses a query.
///
/// # Errors
/// With line and column, worded as Prometheus does, when the text is no query or exceeds a limit.
pub fn parse(text: &str, limits: &ParseLimits) -> Result<Expr, ParseError> {
    parse_numbered(text, limits).map(|parsed| parsed.expr)
}

pub(in crate::engine) fn parse_numbered(
    text: &str,
    limits: &ParseLimits,
) -> Result<Parsed, ParseError> {
    parse_tokens(text, limits).map_err(|fault| fault.into_error(text))
}

fn parse_tokens(text: &str, limits: &ParseLimits) -> Result<Parsed, Fault> {
    if text.len() > limits.length_bytes {
        let message = format!(
            "query is {} bytes long, the limit is {}",
            text.len(),
            limits.length_bytes
        );
        return Err(Fault::at(0, message));
    }
    let mut parser = Parser {
        text,
        tokens: lexer::tokens(text),
        at: 0,
        level: 0,
        slots: 0,
        nesting: limits.nesting,
        first_wrong_meaning: None,
    };
    if parser.peek().kind == TokenKind::End {
        return Err(Fault::at(0, "no expression found in input"));
    }
    let expr = parser.expression(0)?;
    if parser.peek().kind != TokenKind::End {
        return Err(parser.unexpected(""));
    }
    if let Some(fault) = parser.first_wrong_meaning {
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
    /// How deep the recursion is now.
    level: u16,
    slots: usize,
    nesting: u16,
    /// What is well formed and means nothing, such as a wrong type. As in Prometheus, it is reported only when the
    /// whole text is well formed.
    first_wrong_meaning: Option<Fault>,
}

impl Parser<'_> {
    fn source(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> &Token {
        // The lexer always ends with `End` or `Fault`, and `advance` never passes either.
        &self.tokens[self.at]
    }

    pub(super) fn peek_second(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if !matches!(token.kind, TokenKind::End | TokenKind::Fault(_)) {
            self.at += 1;
        }
        token
    }

    /// The byte after the last token that was read.
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

    pub(super) fn expect_symbol(&mut self, symbol: &str, context: &str) -> Result<(), Fault> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!(" in {context}, expected {symbol:?}")))
    }

    /// Returns the next token's word in lower case, if it is one.
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

    pub(super) fn unexpected(&self, context: &str) -> Fault {
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
            TokenKind::Fault(message) => return Fault::over(token.span, message.as_str()),
        };
        Fault::over(token.span, format!("unexpected {what}{context}"))
    }

    pub(super) fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Builds a node, checks its types and that it does not stand too deep.
    pub(super) fn node(&mut self, kind: ExprKind, start: u32) -> Result<Expr, Fault> {
        let depth = types::depth_of_children(&kind).saturating_add(1);
        let span = Span {
            start,
            end: self.end(),
        };
        if depth > self.nesting {
            return Err(self.too_deep(start));
        }
        self.note(types::check(&kind, span));
        Ok(Expr { kind, span, depth })
    }

    /// Keeps the first fault of those that let the parser go on.
    pub(super) fn note(&mut self, checked: Result<(), Fault>) {
        if let Err(fault) = checked {
            self.first_wrong_meaning.get_or_insert(fault);
        }
    }

    fn too_deep(&self, at: u32) -> Fault {
        Fault::at(
            at,
            format!("query is nested deeper than {} levels", self.nesting),
        )
    }

    /// Reads operands and operators that bind tighter than `min_precedence`.
    pub(super) fn expression(&mut self, min_precedence: u8) -> Result<Expr, Fault> {
        if self.level >= self.nesting {
            return Err(self.too_deep(self.peek().span.start));
        }
        self.level += 1;
        let result = self.expression_inside(min_precedence);
        self.level -= 1;
        result
    }

    fn expression_inside(&mut self, min_precedence: u8) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some(op) = self.peek_operator() {
            let precedence = op.precedence();
            if precedence <= min_precedence {
                break;
            }
            let start = left.span.start;
            let op_at = self.advance().span;
            let (returns_bool, matching) = self.binary_modifiers(op, (start, op_at))?;
            // `^` takes what follows at its own level: it is the only right-associative one.
            let right_precedence = precedence - u8::from(op == BinaryOp::Power);
            let right = self.expression(right_precedence)?;
            let checked = types::check_comparison(op, returns_bool, (&left, &right));
            self.note(checked.map_err(|message| Fault::over(op_at, message)));
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

    /// A sign binds as tightly as `*`: `-2 ^ 2` is -4, `-a * b` is `(-a) * b`.
    fn unary(&mut self) -> Result<Expr, Fault> {
        let start = self.peek().span.start;
        let is_negative = self.is_symbol("-");
        if !is_negative && !self.is_symbol("+") {
            return self.operand();
        }
        self.advance();
        let operand = self.expression(BinaryOp::Multiply.precedence())?;
        self.note(types::check_unary(&operand, start));
        match (&operand.kind, is_negative) {
            (ExprKind::Number(value), true) => self.node(ExprKind::Number(-value), start),
            (_, false) => Ok(operand),
            (_, true) => self.node(ExprKind::Negate(Box::new(operand)), start),
        }
    }

    /// Faults of the modifiers are said to be at the operator, as Prometheus does.
    fn binary_modifiers(
        &mut self,
        op: BinaryOp,
        (start, op_at): (u32, Span),
    ) -> Result<(bool, Matching), Fault> {
        let returns_bool = self.take_word("bool");
        if returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.note(Err(Fault::over(op_at, message)));
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
            self.note(Err(Fault::at(start, message)));
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
            self.note(Err(Fault::over(op_at, message)));
        }
        Ok((returns_bool, matching))
    }

    /// Reads `(a, b, "c.d")`; a comma may stand at the end.
    pub(super) fn label_list(&mut self, context: &str) -> Result<Vec<String>, Fault> {
        self.expect_symbol("(", context)?;
        let mut labels = Vec::new();
        while !self.take_symbol(")") {
            let at = self.peek().span;
            match &self.peek().kind {
                TokenKind::Word(label) if !label.contains(':') => labels.push(label.clone()),
                TokenKind::String(label) if !label.is_empty() => labels.push(label.clone()),
                TokenKind::Word(label) | TokenKind::String(label) => {
                    let message = format!("invalid label name for grouping: {label:?}");
                    return Err(Fault::over(at, message));
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

/// Words that mean something to the language are named in angle brackets.
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
