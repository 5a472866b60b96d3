//! Defines the errors of routing configurations.

/// An invalid value in a routing configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {key}: {problem}")]
#[non_exhaustive]
pub struct RoutingError {
    /// The location: a route by its position in the tree (`route`, `route.routes[2]`), a receiver, an inhibition rule
    /// or a time interval.
    pub place: String,
    /// The key whose value is invalid.
    pub key: &'static str,
    /// The invalid value, and the values that are allowed.
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

    /// An error of a channel's options.
    pub(crate) fn channel(name: &str, key: &'static str, problem: impl Into<String>) -> Self {
        Self::new(format!("channel {name:?}"), key, problem)
    }
}
