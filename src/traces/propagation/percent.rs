//! Encodes and decodes baggage values with percent signs.

use std::fmt::Write as _;

/// Replaces bytes that are not UTF-8 by U+FFFD, as W3C Baggage requires ("value"), and keeps a percent sign that starts
/// no escape.
pub(super) fn decoded(text: &str) -> String {
    let (bytes, _) = crate::settings::percent_bytes(text);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Escapes the bytes that are not plain.
pub(super) fn encoded(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_escapes_stay_and_invalid_text_is_replaced() {
        assert_eq!(decoded("a%20b%C3%BC"), "a bü");
        assert_eq!(decoded("%"), "%");
        assert_eq!(decoded("100%, %zz%4"), "100%, %zz%4");
        assert_eq!(decoded("a%FFb"), "a\u{fffd}b");
        let text = "a b/ü%\u{fffd}";
        let encoded = encoded(text, |byte| byte.is_ascii_alphanumeric());
        assert_eq!(encoded, "a%20b%2F%C3%BC%25%EF%BF%BD");
        assert_eq!(decoded(&encoded), text);
    }
}
