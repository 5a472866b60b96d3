//! Splits the text of a template into tokens, as Go's `text/template/parse` does.

use super::TemplateError;
use super::ast::Place;
use crate::query::engine::syntax;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(String),
    Open,
    Close,
    Space,
    /// A word that is neither a field nor a variable.
    Word(String),
    /// `.name`, without the dot.
    Field(String),
    /// `$name`, with the dollar.
    Variable(String),
    Number(String),
    Quoted(String),
    Char(char),
    Dot,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    Declare,
    Assign,
    End,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn tokens(name: &str, text: &str) -> Result<Vec<(Token, Place)>, TemplateError> {
    let mut lexer = Lexer {
        name,
        text,
        at: 0,
        tokens: Vec::new(),
        open_parens: 0,
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

/// `template: name:line: message`
pub(super) fn error_at(name: &str, text: &str, at: usize, message: &str) -> TemplateError {
    let before = text.get(..at).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    TemplateError(format!("template: {name}:{line}: {message}"))
}

struct Lexer<'a> {
    name: &'a str,
    text: &'a str,
    at: usize,
    tokens: Vec<(Token, Place)>,
    open_parens: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, message: impl AsRef<str>) -> TemplateError {
        error_at(self.name, self.text, self.at, message.as_ref())
    }

    /// Makes a token of the next `length` bytes.
    fn push(&mut self, token: Token, length: usize) {
        let start = self.at;
        self.at += length;
        let end = self.at;
        let at = start;
        self.tokens.push((token, Place { start, end, at }));
    }

    fn run(&mut self) -> Result<(), TemplateError> {
        let mut trim_start = false;
        loop {
            let length = self.rest().find(OPEN).unwrap_or(self.rest().len());
            let mut text = &self.rest()[..length];
            let after = &self.rest()[length..];
            if trim_start {
                text = text.trim_start_matches(BLANKS);
            }
            // A trim marker is a minus that a blank follows: `{{-1}}` is a number.
            let trims = |t: &str| t.starts_with('-') && t[1..].starts_with(BLANKS);
            let trims_end = after.strip_prefix(OPEN).is_some_and(trims);
            if trims_end {
                text = text.trim_end_matches(BLANKS);
            }
            let text = text.to_owned();
            let is_end = after.is_empty();
            if text.is_empty() {
                self.at += length;
            } else {
                self.push(Token::Text(text), length);
            }
            if is_end {
                self.push(Token::End, 0);
                return Ok(());
            }
            let marker = if trims_end { 2 } else { 0 };
            let inside = &self.rest()[OPEN.len() + marker..];
            if inside.starts_with("/*") {
                self.at += OPEN.len() + marker;
                trim_start = self.comment()?;
            } else {
                self.push(Token::Open, OPEN.len());
                self.at += marker;
                trim_start = self.action()?;
            }
        }
    }

    /// Skips a comment. Returns whether the text after the comment is trimmed.
    fn comment(&mut self) -> Result<bool, TemplateError> {
        let Some(length) = self.rest().find("*/") else {
            return Err(self.error("unclosed comment"));
        };
        self.at += length + 2;
        let rest = self.rest();
        let (skip, trims) = if rest.starts_with(CLOSE) {
            (CLOSE.len(), false)
        } else if rest.starts_with(BLANKS) && rest[1..].starts_with("-}}") {
            (4, true)
        } else {
            return Err(self.error("comment ends before closing delimiter"));
        };
        self.at += skip;
        Ok(trims)
    }

    /// Reads up to the closing delimiter. Returns whether the text after the delimiter is trimmed.
    fn action(&mut self) -> Result<bool, TemplateError> {
        self.open_parens = 0;
        loop {
            let rest = self.rest();
            let trimmed = rest.starts_with(BLANKS) && rest[1..].starts_with("-}}");
            if trimmed || rest.starts_with(CLOSE) {
                if self.open_parens > 0 {
                    return Err(self.error("unclosed left paren"));
                }
                self.at += if trimmed { 2 } else { 0 };
                self.push(Token::Close, CLOSE.len());
                return Ok(trimmed);
            }
            let Some(c) = rest.chars().next() else {
                return Err(self.error("unclosed action"));
            };
            match c {
                ' ' | '\t' | '\r' | '\n' => self.space(),
                ':' if rest.starts_with(":=") => self.push(Token::Declare, 2),
                ':' => return Err(self.error("expected :=")),
                '=' => self.push(Token::Assign, 1),
                '|' => self.push(Token::Pipe, 1),
                ',' => self.push(Token::Comma, 1),
                '(' => {
                    self.open_parens += 1;
                    self.push(Token::LeftParen, 1);
                }
                ')' => {
                    let open = self.open_parens.checked_sub(1);
                    self.open_parens = open.ok_or_else(|| self.error("unexpected right paren"))?;
                    self.push(Token::RightParen, 1);
                }
                '"' | '`' => self.quoted()?,
                '\'' => self.char()?,
                '$' => self.variable()?,
                '.' if !self.is_digit_at(1) => self.field()?,
                '.' | '+' | '-' | '0'..='9' => self.number(),
                c if c.is_alphanumeric() || c == '_' => self.word()?,
                c => {
                    let code = u32::from(c);
                    let message = format!("unrecognized character in action: U+{code:04X} {c:?}");
                    return Err(self.error(message));
                }
            }
        }
    }

    fn is_digit_at(&self, offset: usize) -> bool {
        let byte = self.rest().as_bytes().get(offset);
        byte.is_some_and(u8::is_ascii_digit)
    }

    /// The last blank before `-}}` belongs to the delimiter.
    fn space(&mut self) {
        let rest = self.rest();
        let mut length = rest.len() - rest.trim_start_matches(BLANKS).len();
        if rest[length..].starts_with("-}}") {
            length -= 1;
        }
        self.push(Token::Space, length);
    }

    fn quoted(&mut self) -> Result<(), TemplateError> {
        match syntax::parse_string(self.rest()) {
            Ok((value, length)) => {
                self.push(Token::Quoted(value), length);
                Ok(())
            }
            Err(message) => Err(self.error(message)),
        }
    }

    fn char(&mut self) -> Result<(), TemplateError> {
        let (value, length) =
            syntax::parse_string(self.rest()).map_err(|message| self.error(message))?;
        let mut chars = value.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => {
                self.push(Token::Char(c), length);
                Ok(())
            }
            _ => Err(self.error("malformed character constant")),
        }
    }

    fn name_length(text: &str) -> usize {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    }

    fn variable(&mut self) -> Result<(), TemplateError> {
        let length = 1 + Self::name_length(&self.rest()[1..]);
        let name = self.rest()[..length].to_owned();
        self.push(Token::Variable(name), length);
        self.expect_terminator()
    }

    fn field(&mut self) -> Result<(), TemplateError> {
        let length = Self::name_length(&self.rest()[1..]);
        if length == 0 {
            self.push(Token::Dot, 1);
        } else {
            let name = self.rest()[1..=length].to_owned();
            self.push(Token::Field(name), 1 + length);
        }
        self.expect_terminator()
    }

    fn word(&mut self) -> Result<(), TemplateError> {
        let length = Self::name_length(self.rest());
        let word = self.rest()[..length].to_owned();
        self.push(Token::Word(word), length);
        self.expect_terminator()
    }

    fn number(&mut self) {
        let mut previous = ' ';
        let length = self
            .rest()
            .char_indices()
            .find(|&(at, c)| {
                let is_sign = matches!(c, '+' | '-') && (at == 0 || matches!(previous, 'e' | 'E'));
                let is_part = c.is_alphanumeric() || matches!(c, '.' | '_') || is_sign;
                previous = c;
                !is_part
            })
            .map_or(self.rest().len(), |(at, _)| at);
        let text = self.rest()[..length].to_owned();
        self.push(Token::Number(text), length);
    }

    /// Checks that the character after a name may stand there.
    fn expect_terminator(&self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let is_end =
            |c: char| BLANKS.contains(&c) || matches!(c, '.' | ',' | '|' | ':' | '(' | ')');
        match rest.chars().next() {
            None => Ok(()),
            // Go reads `$x=1` as an assignment.
            Some(c) if is_end(c) || c == '=' || rest.starts_with(CLOSE) => Ok(()),
            Some(c) => Err(self.error(format!("bad character U+{:04X} {c:?}", u32::from(c)))),
        }
    }
}
