//! Turns tokens into a tree by precedence climbing.
//!
//! This file holds the cursor, the limits and the binary operators; `operand` reads what stands between
//! operators, `selector` reads braces and what may follow an expression (`[5m]`, `offset`, `@`).

use super::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Span};
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
pub(in crate::query::engine) struct Parsed {
    pub(in crate::query::engine) expr: Expr,
    pub(in crate::query::engine) slots: usize,
}

/// Parses a query.
///
/// # Errors
/// With line and column, worded as Prometheus does, when the text is no query or exceeds a limit.
pub fn parse(text: &str, limits: &ParseLimits) -> Result<Expr, ParseError> {
    parse_numbered(text, limits).map(|parsed| parsed.expr)
}

pub(in crate::query::engine) fn parse_numbered(
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
        tokens: lexer::tokens(text)?,
        at: 0,
        level: 0,
        slots: 0,
        nesting: limits.nesting,
    };
    if parser.peek().kind == TokenKind::End {
        return Err(Fault::at(0, "no expression found in input"));
    }
    let expr = parser.expression(0)?;
    if parser.peek().kind != TokenKind::End {
        return Err(parser.unexpected(""));
    }
    Ok(Parsed {
        expr,
        slots: parser.slots,
    })
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// How deep the recursion is now.
    level: u16,
    slots: usize,
    nesting: u16,
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        // The lexer always ends with `End`, and `advance` never passes it.
        &self.tokens[self.at]
    }

    pub(super) fn peek_second(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if token.kind != TokenKind::End {
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
            TokenKind::Word(word) => format!("identifier {word:?}"),
            TokenKind::String(text) => format!("string {text:?}"),
            TokenKind::Number(number) => format!("number \"{number}\""),
            TokenKind::Duration(_) => "duration".to_owned(),
            TokenKind::Symbol(symbol) => format!("{symbol:?}"),
            TokenKind::End => "end of input".to_owned(),
        };
        Fault::over(token.span, format!("unexpected {what}{context}"))
    }

    pub(super) fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Builds a node, checks its types and that it does not stand too deep.
    pub(super) fn node(&self, kind: ExprKind, start: u32) -> Result<Expr, Fault> {
        let depth = types::depth_of_children(&kind).saturating_add(1);
        let span = Span {
            start,
            end: self.end(),
        };
        if depth > self.nesting {
            return Err(self.too_deep(start));
        }
        types::check(&kind, span)?;
        Ok(Expr { kind, span, depth })
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
            self.advance();
            let (returns_bool, matching) = self.binary_modifiers(op)?;
            // `^` takes what follows at its own level: it is the only right-associative one.
            let right_precedence = precedence - u8::from(op == BinaryOp::Power);
            let right = self.expression(right_precedence)?;
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
        types::check_unary(&operand)?;
        match (&operand.kind, is_negative) {
            (ExprKind::Number(value), true) => self.node(ExprKind::Number(-value), start),
            (_, false) => Ok(operand),
            (_, true) => self.node(ExprKind::Negate(Box::new(operand)), start),
        }
    }

    fn binary_modifiers(&mut self, op: BinaryOp) -> Result<(bool, Matching), Fault> {
        let returns_bool_at = self.peek().span;
        let returns_bool = self.take_word("bool");
        if returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return Err(Fault::over(returns_bool_at, message));
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
        let group_at = self.peek().span;
        let cardinality = match self.peek_word().as_deref() {
            Some("group_left") => Cardinality::ManyToOne,
            Some("group_right") => Cardinality::OneToMany,
            _ => return Ok((returns_bool, matching)),
        };
        self.advance();
        if op.is_set() {
            let message = format!("no grouping allowed for \"{op}\" operation");
            return Err(Fault::over(group_at, message));
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
            return Err(Fault::over(group_at, message));
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
                    let message = format!("{label:?} is not valid for grouping");
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
