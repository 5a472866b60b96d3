//! The one place where a request's headers and its span meet: the seam for context propagation.
//!
//! Every middleware comes here with its span and the headers, once per request. The traces module is to read a parent
//! from them, and to write one into them; until it is there, headers pass as they are.

use http::HeaderMap;
use tracing::Span;

/// A request came in: its span may have a parent elsewhere.
pub(super) const fn extract(_span: &Span, _headers: &HeaderMap) {}

/// A request goes out: its server may want to know the span.
pub(super) const fn inject(_span: &Span, _headers: &mut HeaderMap) {}
