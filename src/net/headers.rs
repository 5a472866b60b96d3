//! Names and values of HTTP headers that can be sent over HTTP and gRPC.

/// The expected value of a variable that holds headers.
pub(crate) const HEADERS_EXPECTED: &str = "`name=value` pairs separated by commas, without colons in names and with values in percent-encoding, for example `authorization=Basic%20dXNlcjpwYXNz`";

/// Returns `true` if a text is a header name: RFC 9110, `token`. An invalid name may contain a secret, since users
/// paste whole header lines.
pub(crate) fn is_header_name(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Returns `true` if a text is a header value of visible ASCII, spaces and tabs: the characters that HTTP and gRPC both
/// accept.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t')
}
