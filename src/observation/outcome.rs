//! The outcome of an operation.

use crate::runtime::named;

named! {
    /// The outcome of an operation; the label `status`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Outcome {
        /// The operation succeeded.
        #[default]
        Success = "success",
        /// The operation failed.
        Error = "error",
        /// The operation timed out.
        Timeout = "timeout",
        /// The caller cancelled the operation.
        Cancelled = "cancelled",
        /// The operation recorded an unknown status.
        Other = "other",
    }
}

impl Outcome {
    /// Parses a `status` field in the common spellings. An unknown status is [`Outcome::Other`].
    #[must_use]
    pub fn parse(status: &str) -> Self {
        const SPELLINGS: [(&str, Outcome); 13] = [
            ("success", Outcome::Success),
            ("ok", Outcome::Success),
            ("succeeded", Outcome::Success),
            ("completed", Outcome::Success),
            ("error", Outcome::Error),
            ("err", Outcome::Error),
            ("failed", Outcome::Error),
            ("failure", Outcome::Error),
            ("timeout", Outcome::Timeout),
            ("timed_out", Outcome::Timeout),
            ("cancelled", Outcome::Cancelled),
            ("canceled", Outcome::Cancelled),
            ("aborted", Outcome::Cancelled),
        ];
        SPELLINGS
            .iter()
            .find(|(spelling, _)| spelling.eq_ignore_ascii_case(status))
            .map_or(Self::Other, |(_, outcome)| *outcome)
    }

    /// Returns whether the outcome counts as an error of the service: `error` or `timeout`.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Error | Self::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_parses_from_its_label() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), outcome);
        }
        assert_eq!(Outcome::parse("OK"), Outcome::Success);
        assert_eq!(Outcome::parse("Canceled"), Outcome::Cancelled);
        assert_eq!(Outcome::parse("rate limited, sorry"), Outcome::Other);
    }
}
