//! Turns the text of a query into tokens.
//!
//! Words are not told apart from keywords here: `sum` and `by` may be metrics and labels too, and only the
//! parser knows which. The two things that depend on the place are a colon (part of a name, but a separator
//! between `[` and `]`) and a duration (a number with a unit).

use super::ast::Span;
use super::error::Fault;
use super::literal;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Word(String),
    String(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    /// Punctuation and operators, as written.
    Symbol(&'static str),
    End,
}

/// Longer ones first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "=~", "!~", ">=", "<=", ">", "<", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", "[", "]", ",", ":", "@",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer {
        text,
        at: 0,
        in_brackets: false,
        in_braces: false,
        open_parens: 0,
    };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 2);
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == TokenKind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    in_brackets: bool,
    in_braces: bool,
    open_parens: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Token, Fault> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => self.end()?,
            Some('"' | '\'' | '`') => {
                let (value, length) = literal::string(self.rest())
                    .map_err(|(message, offset)| Self::fault_at(start + offset, message))?;
                self.at += length;
                TokenKind::String(value)
            }
            Some(c) if c.is_ascii_digit() || self.is_fraction() => self.number()?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' || self.is_name_with_colon() => {
                self.word()
            }
            Some(c) => self.symbol(c)?,
        };
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span {
            start: position(start),
            end: position(self.at),
        };
        Ok(Token { kind, span })
    }

    fn fault_at(at: usize, message: impl Into<String>) -> Fault {
        Fault::at(u32::try_from(at).unwrap_or(u32::MAX), message)
    }

    fn end(&self) -> Result<TokenKind, Fault> {
        let open = if self.in_brackets {
            "unclosed left bracket"
        } else if self.in_braces {
            "unexpected end of input inside braces"
        } else if self.open_parens > 0 {
            "unclosed left parenthesis"
        } else {
            return Ok(TokenKind::End);
        };
        Err(Self::fault_at(self.at, open))
    }

    fn is_fraction(&self) -> bool {
        let mut chars = self.rest().chars();
        chars.next() == Some('.') && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    fn is_name_with_colon(&self) -> bool {
        self.rest().starts_with(':') && !self.in_brackets && !self.in_braces
    }

    fn word(&mut self) -> TokenKind {
        let colon_belongs = !self.in_brackets && !self.in_braces;
        let is_part =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon_belongs);
        let length = self
            .rest()
            .find(|c| !is_part(c))
            .unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        TokenKind::Word(word)
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let start = self.at;
        let length = literal::number_length(self.rest());
        let text = self.text[start..start + length].to_owned();
        self.at += length;
        let bad = |text: &str| format!("bad number or duration syntax: {text:?}");
        if let Some(value) = literal::number(&text) {
            return Ok(TokenKind::Number(value));
        }
        match literal::duration(&text) {
            Some(Ok(milliseconds)) => Ok(TokenKind::Duration(milliseconds)),
            Some(Err(message)) => Err(Self::fault_at(start, message)),
            None => Err(Self::fault_at(start, bad(&text))),
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, Fault> {
        let at = self.at;
        let Some(symbol) = SYMBOLS.iter().find(|s| self.rest().starts_with(**s)) else {
            let place = if self.in_braces { " inside braces" } else { "" };
            return Err(Self::fault_at(
                at,
                format!("unexpected character{place}: {first:?}"),
            ));
        };
        match *symbol {
            "(" => self.open_parens += 1,
            ")" => {
                let message = "unexpected right parenthesis ')'";
                let open = self.open_parens.checked_sub(1);
                self.open_parens = open.ok_or_else(|| Self::fault_at(at, message))?;
            }
            "{" if self.in_braces => {
                return Err(Self::fault_at(
                    at,
                    "unexpected left brace '{' inside braces",
                ));
            }
            "{" => self.in_braces = true,
            "}" if !self.in_braces => {
                return Err(Self::fault_at(at, "unexpected right brace '}'"));
            }
            "}" => self.in_braces = false,
            "[" if self.in_brackets => {
                return Err(Self::fault_at(at, "unexpected left bracket '['"));
            }
            "[" => self.in_brackets = true,
            "]" if !self.in_brackets => {
                return Err(Self::fault_at(at, "unexpected right bracket ']'"));
            }
            "]" => self.in_brackets = false,
            _ => {}
        }
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }
}
