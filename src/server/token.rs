//! Compares the token of a request with the configured token.

use axum::http::{HeaderMap, header};

/// Returns whether a request carries the token. An empty token matches no request.
///
/// The comparison takes constant time, so that the response time does not reveal how many bytes are equal.
pub(super) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let pairs = given.bytes().zip(token.bytes());
    let differences = pairs.fold(0, |found, (a, b)| found | (a ^ b));
    !token.is_empty() && given.len() == token.len() && differences == 0
}
