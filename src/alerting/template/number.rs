//! Parses the number constants of templates.

use super::ast::Number;

/// Reads a constant as Go does: `1`, `-0x1f`, `1e3`, `1_000`, `.5`; no imaginary ones.
pub(super) fn parse(text: &str) -> Option<Number> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if let Some(integer) = integer(digits) {
        let integer = i64::try_from(i128::from(sign) * i128::from(integer)).ok()?;
        return Some(Number {
            integer: Some(integer),
            float: integer as f64,
            is_integer: true,
        });
    }
    let plain = digits.replace('_', "");
    let is_decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !plain.bytes().all(is_decimal) || !plain.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let float: f64 = plain.parse().ok().filter(|value: &f64| value.is_finite())?;
    // A digit-only number that overflowed above is an error in Go, not a float.
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let float = if sign < 0 { -float } else { float };
    let is_whole = float.fract() == 0.0 && float.abs() < 9.2e18;
    Some(Number {
        integer: is_whole.then_some(float as i64),
        float,
        is_integer: false,
    })
}

fn integer(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let with_radix = |prefix: &str, radix: u32| {
        let rest = lower.strip_prefix(prefix)?.replace('_', "");
        u64::from_str_radix(&rest, radix).ok()
    };
    if let Some(value) = with_radix("0x", 16)
        .or_else(|| with_radix("0b", 2))
        .or_else(|| with_radix("0o", 8))
    {
        return Some(value);
    }
    let plain = lower.replace('_', "");
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if plain.len() > 1 && plain.starts_with('0') {
        return u64::from_str_radix(&plain, 8).ok();
    }
    plain.parse().ok()
}

/// `'a'` is a number, too.
pub(super) fn from_char(c: char) -> Number {
    Number {
        integer: Some(i64::from(u32::from(c))),
        float: f64::from(u32::from(c)),
        is_integer: true,
    }
}
