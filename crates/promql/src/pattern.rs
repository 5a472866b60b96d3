//! Translates RE2 regular expressions, the syntax of Prometheus, to the syntax of the `regex` crate.
//!
//! The syntaxes differ in details: in RE2, `\d`, `\w` and `\s` match ASCII only, `\Q…\E` quotes, `{` without a count is a
//! literal, a class has neither nested classes nor set operations, and `\<` is a literal `<`. A pattern always matches the
//! whole value, and `.` matches a newline (Prometheus 3). The size of the compiled pattern is limited, so that a query
//! cannot exhaust the memory.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Captures, Regex, RegexBuilder};

/// The maximum size of a compiled pattern.
const SIZE_LIMIT_BYTES: usize = 1 << 20;
/// RE2 accepts at most 1,000 repetitions.
const MAX_REPEAT: u32 = 1000;

/// A regular expression that matches whole values.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    literals: Option<Vec<String>>,
}

/// The reason why a regular expression is invalid.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// RE2 does not accept the pattern.
    #[error("error parsing regexp: {0}")]
    Syntax(String),
    /// The `regex` crate does not accept the pattern, or the pattern exceeds the size limit.
    #[error("error parsing regexp")]
    Compile(#[source] regex::Error),
}

impl Pattern {
    /// Compiles a pattern in RE2's syntax.
    ///
    /// # Errors
    /// If RE2 refuses the pattern, or if the pattern compiles to more than a megabyte.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let translated = Translator::new(pattern).translate()?;
        let regex = RegexBuilder::new(&format!("^(?s:{translated})$"))
            .size_limit(SIZE_LIMIT_BYTES)
            .nest_limit(100)
            .build()
            .map_err(|error| with_words_of_re2(error, pattern))?;
        Ok(Self {
            regex,
            literals: plain_alternatives(pattern),
        })
    }

    /// Returns whether the whole value matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        match &self.literals {
            Some(literals) => literals.iter().any(|literal| literal == value),
            None => self.regex.is_match(value),
        }
    }

    /// Compiles a pattern in RE2's syntax that may match anywhere in a text, as Go's `regexp` does. `.` does not match a
    /// newline.
    ///
    /// # Errors
    /// If RE2 refuses the pattern, or if the pattern compiles to more than a megabyte.
    pub fn search(pattern: &str) -> Result<Regex, PatternError> {
        let translated = Translator::new(pattern).translate()?;
        RegexBuilder::new(&translated)
            .size_limit(SIZE_LIMIT_BYTES)
            .nest_limit(100)
            .build()
            .map_err(PatternError::Compile)
    }

    pub(crate) fn literals(&self) -> Option<&[String]> {
        self.literals.as_deref()
    }

    /// Replaces `$1`, `${name}` and `$$` in `template` by the captured groups, as Go's `Expand` does. Returns `None` if the
    /// value does not match.
    pub(crate) fn expand(&self, value: &str, template: &str) -> Option<String> {
        let captures: Captures<'_> = self.regex.captures(value)?;
        let mut out = String::new();
        captures.expand(template, &mut out);
        Some(out)
    }
}

/// Gives the error in RE2's words: the error of the `regex` crate shows the translated pattern, over several lines.
fn with_words_of_re2(error: regex::Error, pattern: &str) -> PatternError {
    let regex::Error::Syntax(text) = &error else {
        return PatternError::Compile(error);
    };
    let reason = text.rsplit("error: ").next().unwrap_or(text).trim();
    PatternError::Syntax(match reason {
        "unclosed group" => format!("missing closing ): `{pattern}`"),
        "unopened group" => format!("unexpected ): `{pattern}`"),
        "unclosed character class" => format!("missing closing ]: `{pattern}`"),
        _ => format!("{reason}: `{pattern}`"),
    })
}

/// Returns the alternatives of a pattern such as `a|b|c`. Such a pattern needs no automaton, and the index looks up each
/// alternative.
fn plain_alternatives(pattern: &str) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '/' | ':' | '|');
    pattern
        .chars()
        .all(is_plain)
        .then(|| pattern.split('|').map(str::to_owned).collect())
}

struct Translator<'a> {
    source: &'a str,
    rest: Peekable<Chars<'a>>,
    out: String,
    /// True if the last output was a repetition operator. RE2 refuses a second operator after it.
    after_repeat: bool,
}

impl<'a> Translator<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            rest: source.chars().peekable(),
            out: String::with_capacity(source.len() + 8),
            after_repeat: false,
        }
    }

    fn translate(mut self) -> Result<String, PatternError> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.repeat(&c.to_string())?;
                    continue;
                }
                '{' => match self.counted_repeat()? {
                    Some(count) => {
                        self.repeat(&count)?;
                        continue;
                    }
                    None => self.out.push_str("\\{"),
                },
                '(' => self.group()?,
                '#' | '&' | '~' | '-' | ' ' => self.literal(c),
                _ => self.out.push(c),
            }
            self.after_repeat = false;
        }
        Ok(self.out)
    }

    fn error(&self, what: &str) -> PatternError {
        PatternError::Syntax(format!("{what}: `{}`", self.source))
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out
            .push_str(&regex::escape(c.encode_utf8(&mut buffer)));
    }

    fn repeat(&mut self, operator: &str) -> Result<(), PatternError> {
        if self.after_repeat {
            return Err(self.error("invalid nested repetition operator"));
        }
        self.out.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.after_repeat = true;
        Ok(())
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`. Any other `{` is a literal.
    fn counted_repeat(&mut self) -> Result<Option<String>, PatternError> {
        let mut ahead = self.rest.clone();
        let mut text = String::from("{");
        let mut seen_comma = false;
        let mut counts = vec![String::new()];
        loop {
            match ahead.next() {
                Some(c) if c.is_ascii_digit() => {
                    text.push(c);
                    if let Some(last) = counts.last_mut() {
                        last.push(c);
                    }
                }
                Some(',') if !seen_comma => {
                    seen_comma = true;
                    text.push(',');
                    counts.push(String::new());
                }
                Some('}') => break,
                _ => return Ok(None),
            }
        }
        if counts[0].is_empty() {
            return Ok(None);
        }
        text.push('}');
        let is_too_large = |count: &String| {
            !count.is_empty() && count.parse::<u32>().map_or(true, |n| n > MAX_REPEAT)
        };
        if counts.iter().any(is_too_large) {
            return Err(self.error("invalid repeat count"));
        }
        self.rest = ahead;
        Ok(Some(text))
    }

    /// Copies the flags of a group, and refuses the flags of the `regex` crate that RE2 does not have.
    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        while let Some(&c) = self.rest.peek() {
            match c {
                'P' | '<' | ':' | ')' => break,
                'i' | 'm' | 's' | 'U' | '-' => self.out.push(c),
                _ => return Err(self.error("invalid or unsupported Perl syntax")),
            }
            self.rest.next();
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), PatternError> {
        let Some(c) = self.rest.next() else {
            return Err(self.error("trailing backslash at end of expression"));
        };
        match c {
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            's' => self.out.push_str("[\\t\\n\\x0C\\r ]"),
            'S' => self.out.push_str("[^\\t\\n\\x0C\\r ]"),
            'b' if !in_class => self.out.push_str("(?-u:\\b)"),
            'B' | 'A' | 'z' if !in_class => {
                self.out.push('\\');
                self.out.push(c);
            }
            'Q' if !in_class => self.quoted(),
            'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => {
                self.out.push('\\');
                self.out.push(c);
            }
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    if let Some(digit) = self.rest.next_if(|c| ('0'..='7').contains(c)) {
                        code = code * 8 + digit.to_digit(8).unwrap_or(0);
                    }
                }
                let _ = write!(self.out, "\\x{{{code:x}}}");
            }
            c if c.is_ascii_punctuation() => {
                self.out.push('\\');
                match c {
                    // `\<` and `\>` are word boundaries in the `regex` crate.
                    '<' => self.out.push_str("x3C"),
                    '>' => self.out.push_str("x3E"),
                    c => self.out.push(c),
                }
            }
            _ => return Err(self.error("invalid escape sequence")),
        }
        Ok(())
    }

    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// Translates a class. A `[` inside is a literal unless it opens `[:alpha:]`; `&&`, `--` and `~~` have no meaning.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        let mut after_dash = false;
        while let Some(c) = self.rest.next() {
            let is_dash = c == '-';
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                ']' => self.out.push_str("\\]"),
                '\\' => self.escape(true)?,
                '[' if self.rest.peek() == Some(&':') => self.posix_class()?,
                '[' | '&' | '~' | '^' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                '-' if is_first || after_dash || self.rest.peek() == Some(&']') => {
                    self.out.push_str("\\-");
                }
                _ => self.out.push(c),
            }
            is_first = false;
            after_dash = is_dash;
        }
        Err(self.error("missing closing ]"))
    }

    fn posix_class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == ']' {
                return Ok(());
            }
        }
        Err(self.error("missing closing ]"))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on says so by panicking, and its numbers are small"
)]
mod tests {
    use super::*;

    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let compiled = Pattern::new(pattern).unwrap();
        for value in matching {
            assert!(compiled.is_match(value), "{pattern} should match {value:?}");
        }
        for value in other {
            assert!(
                !compiled.is_match(value),
                "{pattern} should not match {value:?}"
            );
        }
    }

    #[test]
    fn patterns_match_the_whole_value_and_newlines() {
        check("a.c", &["abc", "a\nc"], &["xabc", "abcd", "ac"]);
        check("a|b", &["a", "b"], &["ab", ""]);
        check("", &[""], &["a"]);
        check("|a", &["", "a"], &["b"]);
    }

    #[test]
    fn re2_classes_are_ascii_and_flat() {
        check(r"\d+", &["12"], &["٣", "a"]);
        check(r"\w", &["a", "_"], &["é"]);
        check(r"[\w.-]+", &["a-b.c"], &["a/b"]);
        check("[[&&]", &["[", "&"], &["]"]);
        check("[+--]", &[",", "-"], &["a"]);
        check("[[:digit:]x]+", &["1x"], &["y"]);
        check("[]a]", &["]", "a"], &["b"]);
    }

    #[test]
    fn quoting_braces_and_angle_brackets_are_literal() {
        check(r"\Qa.b\E.", &["a.bc"], &["axbc"]);
        check(r"a{,2}", &["a{,2}"], &["aa"]);
        check(r"a{2}", &["aa"], &["a{2}"]);
        check(r"\<x\>", &["<x>"], &["x"]);
        check("(?i)AbC", &["abc"], &["abd"]);
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in [
            "a**", "a{1001}", "(?x)a", "(", "[a", r"\8", r"\", "(?=a)", "*",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new("(a{1000}){1000}").is_err());
    }

    #[test]
    fn templates_expand_groups() {
        let pattern = Pattern::new("(?P<host>[^:]+):(.*)").unwrap();
        assert_eq!(
            pattern.expand("a:1", "${host}-$2-$3").as_deref(),
            Some("a-1-")
        );
        assert_eq!(pattern.expand("a", "x"), None);
    }
}
