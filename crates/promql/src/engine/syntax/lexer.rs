//! Splits the text of a query into tokens.
//!
//! The lexer does not distinguish words from keywords: `sum` and `by` are also valid names of metrics and labels, and only
//! the parser knows the context. Two tokens depend on the context: a colon (part of a name, but a separator between `[` and
//! `]`) and a duration (a number with a unit).

use super::ast::Span;
use super::error::PositionedError;
use super::literal;

/// A token and its position.
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
    /// A duration in milliseconds.
    Duration(i64),
    /// Punctuation or an operator.
    Symbol(&'static str),
    End,
    /// An invalid token, with the error message.
    Invalid(String),
}

/// The operators of several characters come first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 21] = [
    "==", "!=", ">=", "<=", ">", "<", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{", "[", "]",
    ",", ":", "@",
];
const IN_BRACES: [&str; 6] = ["=~", "!=", "!~", "=", ",", "}"];

/// Splits a text into tokens. The last token is the end or an error, which the parser reports when it reaches the token.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        inside: Inside::Nothing,
        is_after_duration: false,
        has_colon: false,
        open_parens: 0,
    };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 2);
    loop {
        let token = lexer.next().unwrap_or_else(|fault| Token {
            span: Span {
                start: fault.at,
                end: fault.at,
            },
            kind: TokenKind::Invalid(fault.message),
        });
        let is_last = matches!(token.kind, TokenKind::End | TokenKind::Invalid(_));
        tokens.push(token);
        if is_last {
            return tokens;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// Between the brackets of `[5m:1m]`.
    Brackets,
    /// Between the braces of `{job="router"}`.
    Braces,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    inside: Inside,
    /// True if the last token was a number or a duration.
    is_after_duration: bool,
    /// True if a colon has appeared between the brackets.
    has_colon: bool,
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

    fn next(&mut self) -> Result<Token, PositionedError> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => self.end()?,
            Some('"' | '\'' | '`') => {
                let (value, length) = literal::parse_string(self.rest())
                    .map_err(|message| Self::fault_at(start, message))?;
                self.at += length;
                TokenKind::String(value)
            }
            Some(c)
                if self.inside != Inside::Braces && (c.is_ascii_digit() || self.is_fraction()) =>
            {
                self.number()?
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' || self.is_name_with_colon() => {
                self.word()
            }
            Some(c) => self.symbol(c)?,
        };
        self.is_after_duration = matches!(kind, TokenKind::Number(_) | TokenKind::Duration(_));
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span {
            start: position(start),
            end: position(self.at),
        };
        Ok(Token { kind, span })
    }

    fn fault_at(at: usize, message: impl Into<String>) -> PositionedError {
        PositionedError::at(u32::try_from(at).unwrap_or(u32::MAX), message)
    }

    fn end(&self) -> Result<TokenKind, PositionedError> {
        let open = if self.inside == Inside::Brackets && self.is_after_duration {
            "unclosed left bracket"
        } else if self.inside == Inside::Brackets {
            "unexpected end of input in duration expression"
        } else if self.inside == Inside::Braces {
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
        self.rest().starts_with(':') && self.inside == Inside::Nothing
    }

    fn word(&mut self) -> TokenKind {
        let colon_belongs = self.inside == Inside::Nothing;
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

    fn number(&mut self) -> Result<TokenKind, PositionedError> {
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

    fn symbol(&mut self, first: char) -> Result<TokenKind, PositionedError> {
        let at = self.at;
        let fault = |message: String| Err(Self::fault_at(at, message));
        let second = self.rest().chars().nth(1);
        let Some(symbol) = self.find_symbol() else {
            let place = if self.inside == Inside::Braces {
                " inside braces"
            } else {
                ""
            };
            return match (first, second) {
                ('!', Some(second)) => {
                    fault(format!("unexpected character after '!'{place}: {second:?}"))
                }
                ('=', Some('~')) => fault("unexpected character after '=': '~'".to_owned()),
                ('{', _) => fault("unexpected left brace '{'".to_owned()),
                _ => fault(format!("unexpected character{place}: {first:?}")),
            };
        };
        match symbol {
            "(" => self.open_parens += 1,
            ")" => {
                let message = "unexpected right parenthesis ')'";
                let open = self.open_parens.checked_sub(1);
                // Prometheus reports the position after the character.
                self.open_parens = open.ok_or_else(|| Self::fault_at(at + 1, message))?;
            }
            "{" => self.inside = Inside::Braces,
            "[" if self.inside == Inside::Brackets => {
                return fault("unexpected left bracket '['".to_owned());
            }
            "[" => {
                self.inside = Inside::Brackets;
                self.has_colon = false;
            }
            "]" if self.inside != Inside::Brackets => {
                return fault("unexpected right bracket ']'".to_owned());
            }
            "]" | "}" => self.inside = Inside::Nothing,
            ":" if self.inside == Inside::Brackets
                && std::mem::replace(&mut self.has_colon, true) =>
            {
                return fault("unexpected colon ':'".to_owned());
            }
            _ => {}
        }
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }

    /// Reads punctuation. Braces allow only some symbols, and do not nest.
    fn find_symbol(&self) -> Option<&'static str> {
        let known: &[&str] = if self.inside == Inside::Braces {
            &IN_BRACES
        } else {
            &SYMBOLS
        };
        let rest = self.rest();
        let symbol = known.iter().find(|symbol| rest.starts_with(**symbol))?;
        let is_tilde_alone =
            *symbol == "=" && self.inside != Inside::Braces && rest.starts_with("=~");
        (!is_tilde_alone).then_some(*symbol)
    }
}
