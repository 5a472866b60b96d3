//! Parses matchers such as `severity=~"page|ticket", team=ops`, in Alertmanager's classic and UTF-8 syntax.
//!
//! Alertmanager parses a text with both syntaxes and prefers the classic result if they differ. This module therefore
//! tries the classic parser first, and the UTF-8 parser for a text that the classic parser rejects: names that are
//! quoted or not ASCII.

use std::{iter::Peekable, str::CharIndices};

use crate::query::{MatchOp, Matcher, PatternError};

/// An error in a list of matchers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// The text is valid in neither syntax.
    #[error("{text:?} is not a matcher such as `severity=\"critical\"`: {problem}")]
    Syntax {
        /// The text.
        text: String,
        /// The syntax error.
        problem: String,
    },
    /// The value of `=~` or `!~` is not a regular expression.
    #[error("the regular expression of label {name:?} is invalid")]
    Pattern {
        /// Name of the label.
        name: String,
        /// The error of the regular expression.
        #[source]
        source: PatternError,
    },
}

/// The name, operator and value of a matcher whose regular expression is not compiled yet.
type RawMatcher = (String, MatchOp, String);

/// Parses one or several matchers, with or without braces.
///
/// ```
/// use llm_observatory::alerting::parse_matchers;
///
/// let matchers = parse_matchers(r#"{severity=~"error|critical", "model id"!=llama}"#)?;
/// assert_eq!(matchers.len(), 2);
/// # Ok::<(), llm_observatory::alerting::MatcherError>(())
/// ```
///
/// # Errors
/// When neither syntax accepts the text, or a regular expression is invalid.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let raw_matchers = match classic(text) {
        Some(raw_matchers) => raw_matchers,
        None => Utf8Parser::new(text).parse()?,
    };
    raw_matchers
        .into_iter()
        .map(|(name, op, value)| {
            Matcher::new(name.as_str(), op, value)
                .map_err(|source| MatcherError::Pattern { name, source })
        })
        .collect()
}

/// Formats a matcher as Alertmanager does in a group key.
pub(super) fn to_text(matcher: &Matcher) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !is_reserved(c);
    let name = if matcher.name().chars().all(is_plain) {
        matcher.name().to_owned()
    } else {
        format!("{:?}", matcher.name())
    };
    let value = matcher
        .value()
        .replace('\\', r"\\")
        .replace('\n', r"\n")
        .replace('"', "\\\"");
    format!("{name}{}\"{value}\"", matcher.op())
}

/// Returns whether a character is not allowed in an unquoted name or value.
fn is_reserved(c: char) -> bool {
    "{}!=~,\\\"'`".contains(c)
}

/// Parses the syntax of Alertmanager up to 0.26.
fn classic(text: &str) -> Option<Vec<RawMatcher>> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut is_quoted, mut is_escaped) = (false, false);
    let (mut tokens, mut token) = (Vec::new(), String::new());
    for c in text.chars() {
        match c {
            ',' if !is_quoted => {
                tokens.push(std::mem::take(&mut token));
                continue;
            }
            '"' if is_escaped => is_escaped = false,
            '"' => is_quoted = !is_quoted,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
        token.push(c);
    }
    if !token.trim().is_empty() {
        tokens.push(token);
    }
    tokens.iter().map(|token| classic_matcher(token)).collect()
}

fn classic_matcher(token: &str) -> Option<RawMatcher> {
    let token = token.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name = &token[..token.find(|c| !is_name(c))?];
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (op, raw) = operator(token[name.len()..].trim_start())?;
    Some((name.to_owned(), op, classic_value(raw.trim_start())?))
}

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    [
        ("=~", MatchOp::Regex),
        ("!=", MatchOp::NotEqual),
        ("!~", MatchOp::NotRegex),
        ("=", MatchOp::Equal),
    ]
    .into_iter()
    .find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

fn classic_value(raw: &str) -> Option<String> {
    let inner = match raw.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => raw,
    };
    let (mut value, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        match c {
            // The closing quote that was stripped above may have been an escaped quote.
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None if raw.starts_with('"') => return None,
                None => value.push('\\'),
            },
            '"' => return None,
            c => value.push(c),
        }
    }
    Some(value)
}

/// A parser of the syntax since Alertmanager 0.27: names of any characters, quoted where necessary.
struct Utf8Parser<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl<'t> Utf8Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
        }
    }

    fn parse(mut self) -> Result<Vec<RawMatcher>, MatcherError> {
        let mut matchers = Vec::new();
        self.skip_space();
        let is_braced = self.take('{');
        loop {
            self.skip_space();
            let Some(c) = self.peek() else { break };
            if c == '}' {
                break;
            }
            matchers.push(self.matcher()?);
            self.skip_space();
            if !self.take(',') {
                break;
            }
        }
        self.skip_space();
        if self.take('}') != is_braced {
            return Err(self.error("unmatched brace"));
        }
        self.skip_space();
        match self.peek() {
            Some(c) => Err(self.error(&format!("unexpected {c:?}"))),
            None => Ok(matchers),
        }
    }

    fn matcher(&mut self) -> Result<RawMatcher, MatcherError> {
        let name = self.word()?;
        if name.is_empty() {
            return Err(self.error("the label has no name"));
        }
        self.skip_space();
        let at = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let (op, _) = operator(&self.text[at..])
            .ok_or_else(|| self.error("one of `=`, `!=`, `=~`, `!~` must follow the name"))?;
        for _ in 0..op.to_string().len() {
            self.chars.next();
        }
        self.skip_space();
        Ok((name, op, self.word()?))
    }

    fn word(&mut self) -> Result<String, MatcherError> {
        if self.take('"') {
            return self.quoted();
        }
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || is_reserved(c) {
                break;
            }
            word.push(c);
            self.chars.next();
        }
        if word.is_empty() {
            return Err(self.error("a name or a value is missing"));
        }
        Ok(word)
    }

    /// Parses the rest of a Go string literal, after its opening quote.
    fn quoted(&mut self) -> Result<String, MatcherError> {
        let mut word = String::new();
        loop {
            let Some((_, c)) = self.chars.next() else {
                return Err(self.error("unterminated quote"));
            };
            match c {
                '"' => return Ok(word),
                '\\' => {
                    let escaped = self.chars.next().map(|(_, c)| c);
                    word.push(match escaped {
                        Some(c @ ('"' | '\\')) => c,
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('x') => self.code_point(2)?,
                        Some('u') => self.code_point(4)?,
                        Some('U') => self.code_point(8)?,
                        _ => return Err(self.error("unknown escape sequence")),
                    });
                }
                c => word.push(c),
            }
        }
    }

    fn code_point(&mut self, digits: usize) -> Result<char, MatcherError> {
        let hex: String = (0..digits)
            .filter_map(|_| self.chars.next().map(|(_, c)| c))
            .collect();
        u32::from_str_radix(&hex, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| self.error("invalid escape sequence"))
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn take(&mut self, expected: char) -> bool {
        self.chars.next_if(|(_, c)| *c == expected).is_some()
    }

    fn skip_space(&mut self) {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn error(&self, problem: &str) -> MatcherError {
        MatcherError::Syntax {
            text: self.text.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let matchers = parse_matchers(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let texts: Vec<String> = matchers.iter().map(to_text).collect();
        assert_eq!(texts, expected, "{text}");
    }

    #[test]
    fn the_classic_syntax_is_parsed() {
        check("foo=bar", &[r#"foo="bar""#]);
        check(" foo = bar ", &[r#"foo="bar""#]);
        check(r#"{foo="bar",a!~"b|c"}"#, &[r#"foo="bar""#, r#"a!~"b|c""#]);
        check(r#"foo="a,b\"c\\""#, &[r#"foo="a,b\"c\\""#]);
        check("foo=", &[r#"foo="""#]);
        check(r#"foo="\t""#, &[r#"foo="\\t""#]);
        check("foo=bar=baz", &[r#"foo="bar=baz""#]);
        check("{}", &[]);
    }

    #[test]
    fn quoted_and_non_ascii_names_are_parsed() {
        check(r#""model id"=~"a.*""#, &[r#""model id"=~"a.*""#]);
        check("modèle=llama", &[r#"modèle="llama""#]);
        check(r#"{"a\u00e9"="b\t", c!=d,}"#, &["aé=\"b\t\"", r#"c!="d""#]);
    }

    #[test]
    fn a_text_that_is_valid_in_neither_syntax_is_rejected() {
        for text in [
            "foo",
            "=bar",
            r#"foo="bar"#,
            r#"foo="a"b""#,
            "{{foo=bar",
            "0foo",
            "é=\"a",
            "é=a b",
            r#"a=~"(""#,
        ] {
            assert!(parse_matchers(text).is_err(), "{text}");
        }
    }
}
