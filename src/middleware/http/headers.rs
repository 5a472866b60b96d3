//! Formats headers as a span field: limited in size, with secrets masked.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The maximum number of captured headers, and the maximum length of each value in bytes.
const MAX_HEADERS: usize = 64;
const MAX_VALUE_BYTES: usize = 256;

/// Displays headers as `name: value` lines.
pub(super) struct Captured<'h> {
    pub(super) headers: &'h HeaderMap,
    pub(super) redacted: &'h [HeaderName],
}

impl fmt::Display for Captured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.headers.iter().take(MAX_HEADERS) {
            if is_secret(name, value) || self.redacted.contains(name) {
                writeln!(f, "{name}: ***")?;
                continue;
            }
            let bytes = value.as_bytes();
            let cut = bytes.get(..MAX_VALUE_BYTES).unwrap_or(bytes);
            writeln!(f, "{name}: {}", cut.escape_ascii())?;
        }
        Ok(())
    }
}

fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    const NAMES: [HeaderName; 5] = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::WWW_AUTHENTICATE,
    ];
    const PARTS: [&str; 9] = [
        "token",
        "secret",
        "password",
        "key",
        "auth",
        "session",
        "jwt",
        "credential",
        "signature",
    ];
    value.is_sensitive()
        || NAMES.contains(name)
        || PARTS.iter().any(|part| name.as_str().contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stars_and_long_values_are_cut() {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html"));
        headers.insert("authorization", HeaderValue::from_static("Bearer abc"));
        headers.insert("x-api-key", HeaderValue::from_static("abc"));
        headers.insert("x-mine", HeaderValue::from_static("abc"));
        headers.insert(
            "x-long",
            HeaderValue::from_str(&"y".repeat(10_000)).unwrap(),
        );
        let mut sensitive = HeaderValue::from_static("abc");
        sensitive.set_sensitive(true);
        headers.insert("x-other", sensitive);
        let text = Captured {
            headers: &headers,
            redacted: &[HeaderName::from_static("x-mine")],
        }
        .to_string();
        assert!(text.contains("accept: text/html\n"), "{text}");
        assert!(!text.contains("abc"), "{text}");
        assert_eq!(text.matches("***").count(), 4, "{text}");
        assert!(text.len() < 500, "{text}");
    }
}
