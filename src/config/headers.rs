//! Headers that can be sent.

/// What would be right where they are read from a variable.
pub(super) const RIGHT: &str = "`name=value` pairs between commas, without colons in names and with values in percent-encoding, `authorization=Basic%20dXNlcjpwYXNz`, say";

/// RFC 9110, `token`. What is none may be a header with its value, and that a secret.
pub(super) fn is_name(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

/// Visible ASCII, blanks and tabs: what HTTP and gRPC both take.
pub(super) fn is_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t')
}
