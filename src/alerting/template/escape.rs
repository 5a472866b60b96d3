//! Escapes text for HTML, JavaScript, URLs and Go's string literals as Go does, and for Slack as Slack asks for.

use std::fmt::Write as _;

/// The escaping of a value that an action writes into the text of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alerting) enum Escape {
    /// Unchanged.
    Plain,
    /// For HTML.
    #[cfg(any(test, feature = "email"))]
    Html,
    /// As JSON: a text with its quotes, a list as an array.
    Json,
    /// For Slack: `&`, `<` and `>` as entities.
    Slack,
}

/// Escapes `&`, `<` and `>`, and nothing else, as Slack's documentation asks for.
pub(in crate::alerting) fn slack(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Go's `strconv.Quote`: also a double-quoted scalar of YAML.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if !is_printed(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns `true` if Go prints the character as it is: neither a control, a separator nor a character that formats
/// others.
fn is_printed(c: char) -> bool {
    let is_separator = c.is_whitespace() && c != ' ';
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
    );
    !c.is_control() && !is_separator && !is_format
}

/// Go's `template.HTMLEscapeString`.
pub(in crate::alerting) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Go's `template.JSEscapeString`.
pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryUnescape`.
pub(super) fn unquery(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let text = String::from_utf8_lossy(&digits).into_owned();
                let is_hex = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
                let value = u8::from_str_radix(&text, 16).ok().filter(|_| is_hex);
                bytes.push(
                    value.ok_or_else(|| format!("invalid URL escape {:?}", format!("%{text}")))?,
                );
            }
            byte => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Go's `url.QueryEscape`.
pub(super) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The path of Prometheus's graph of an expression.
pub(super) fn graph_link(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", query(expr))
}

/// The path of Prometheus's table of an expression, with which a generator URL ends.
pub(crate) fn table_link(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", query(expr))
}
