//! What can be wrong with a routing configuration.

/// A routing configuration that cannot be used: where, which key, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {key}: {problem}")]
#[non_exhaustive]
pub struct RoutingError {
    /// The route, by its place in the tree (`route`, `route.routes[2]`), the receiver, rule or time interval.
    pub place: String,
    /// The key of it.
    pub key: &'static str,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

impl RoutingError {
    pub(crate) fn new(
        place: impl Into<String>,
        key: &'static str,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            key,
            problem: problem.into(),
        }
    }
}
