//! Parses numbers, durations and strings in the syntax of Go and Prometheus.

use std::fmt::Write as _;

/// The units of a duration with their milliseconds, in their required order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3600 * 1000),
    ("w", 7 * 24 * 3600 * 1000),
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Returns the length of the number or duration at the start of the text.
pub(super) fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let is_exponent_sign = matches!(byte, b'+' | b'-')
            && at > 0
            && matches!(bytes[at - 1], b'e' | b'E')
            && !text[..at].to_ascii_lowercase().starts_with("0x");
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || is_exponent_sign) {
            break;
        }
        at += 1;
    }
    at
}

/// Parses `1_000`, `1e3`, `.5`, `0x1f` and, as Go does, the octal `017`.
pub(super) fn number(text: &str) -> Option<f64> {
    if !has_proper_underscores(text) {
        return None;
    }
    let digits = text.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return from_radix(hex, 16);
    }
    let is_octal = lower.len() > 1 && lower.starts_with('0');
    if is_octal && lower.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return from_radix(&lower, 8);
    }
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-');
    if !lower.bytes().all(allowed) {
        return None;
    }
    // Go refuses a number that overflows; Rust parses it as infinity.
    lower.parse().ok().filter(|value: &f64| value.is_finite())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus converts the integer in the same way"
)]
fn from_radix(digits: &str, radix: u32) -> Option<f64> {
    i64::from_str_radix(digits, radix).ok().map(|n| n as f64)
}

/// Returns whether each underscore stands between two digits, or after `0x`.
fn has_proper_underscores(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hexadecimal = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at)).is_some_and(|b| {
            let is_part_of_hex = b.is_ascii_hexdigit() || matches!(b, b'x' | b'X');
            b.is_ascii_digit() || (is_hexadecimal && is_part_of_hex)
        })
    };
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))))
}

/// Parses a duration such as `1h30m`, and returns its milliseconds.
///
/// # Errors
/// If the text is not a duration, or if the duration is out of range.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let fault = || format!("not a valid duration string: {text:?}");
    match text {
        "" => Err("empty duration string".to_owned()),
        "0" => Ok(0),
        text => duration(text).unwrap_or_else(|| Err(fault())),
    }
}

/// Parses a duration such as `1h30m`. Returns `None` if the text is not a duration, and an error if the duration is invalid.
pub(super) fn duration(text: &str) -> Option<Result<i64, String>> {
    let mut rest = text;
    let mut total: i64 = 0;
    let mut next_unit = 0;
    let overflow = || Some(Err("duration out of range".to_owned()));
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..]
            .bytes()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let unit = &rest[digits..digits + letters];
        let at = UNITS.iter().position(|(name, _)| *name == unit)?;
        if digits == 0 {
            return None;
        }
        if at < next_unit {
            return Some(Err(format!("not a valid duration string: {text:?}")));
        }
        next_unit = at + 1;
        let amount = rest[..digits].parse::<i64>().ok();
        let Some(sum) = amount
            .and_then(|n| n.checked_mul(UNITS[at].1))
            .and_then(|n| total.checked_add(n))
        else {
            return overflow();
        };
        total = sum;
        rest = &rest[digits + letters..];
    }
    // Go stores a duration as nanoseconds in 64 bits.
    if total > i64::MAX / 1_000_000 {
        return overflow();
    }
    Some(Ok(total))
}

/// Formats milliseconds as the shortest duration that parses to the same value: `1h30m`.
#[must_use]
pub fn format_duration(milliseconds: i64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let mut rest = milliseconds.unsigned_abs();
    if milliseconds < 0 {
        out.push('-');
    }
    for (at, (unit, size)) in UNITS.iter().enumerate() {
        let size = size.unsigned_abs();
        // As in Prometheus, years and weeks appear only without a remainder.
        let fits = rest >= size && (at >= 2 || rest.is_multiple_of(size));
        if fits {
            let _ = write!(out, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    out
}

/// Parses the string literal at the start of a text. Returns its value and its length in bytes, quotes included.
///
/// # Errors
/// If the text does not start with a complete literal in single quotes, double quotes or backticks.
pub fn parse_string(text: &str) -> Result<(String, usize), String> {
    let Some(quote @ ('"' | '\'' | '`')) = text.chars().next() else {
        return Err("a string must begin with a quote".to_owned());
    };
    let unterminated = |what: &str| format!("unterminated {what} string");
    if quote == '`' {
        let length = text[1..].find('`').ok_or_else(|| unterminated("raw"))?;
        return Ok((text[1..=length].to_owned(), length + 2));
    }
    let mut out = Vec::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => break,
            '\\' => {
                let (escape, length) = escape(&text[at + 1..], quote)?;
                match escape {
                    Escape::Byte(byte) => out.push(byte),
                    Escape::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                while chars.next_if(|(next, _)| *next <= at + length).is_some() {}
            }
            c if c == quote => {
                // A literal such as `\xff` may hold bytes that are not UTF-8, and a label may not.
                return Ok((String::from_utf8_lossy(&out).into_owned(), at + 1));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(unterminated("quoted"))
}

enum Escape {
    Byte(u8),
    Char(char),
}

/// Parses the escape sequence after a backslash. Returns its value and its length in bytes.
fn escape(text: &str, quote: char) -> Result<(Escape, usize), String> {
    let Some(c) = text.chars().next() else {
        return Err("escape sequence not terminated".to_owned());
    };
    let simple = match c {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '\\' => Some('\\'),
        c if c == quote => Some(quote),
        _ => None,
    };
    if let Some(simple) = simple {
        return Ok((Escape::Char(simple), 1));
    }
    let (skip, digits, radix) = match c {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        _ => {
            let code = u32::from(c);
            return Err(format!("unknown escape sequence U+{code:04X} '{c}'"));
        }
    };
    let number = text
        .get(skip..skip + digits)
        .filter(|number| number.chars().all(|c| c.is_digit(radix)))
        .and_then(|number| u32::from_str_radix(number, radix).ok())
        .ok_or_else(|| "illegal character in escape sequence".to_owned())?;
    let escape = if c == 'u' || c == 'U' {
        char::from_u32(number)
            .map(Escape::Char)
            .ok_or_else(|| "escape sequence is an invalid Unicode code point".to_owned())?
    } else {
        u8::try_from(number)
            .map(Escape::Byte)
            .map_err(|_| "escape sequence is out of range".to_owned())?
    };
    Ok((escape, skip + digits))
}
