//! The outcome of an operation.

/// The outcome of an operation; the label `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// The operation succeeded.
    #[default]
    Success,
    /// The operation failed.
    Error,
    /// The operation timed out.
    Timeout,
    /// The caller cancelled the operation.
    Cancelled,
    /// The operation recorded an unknown status.
    Other,
}

impl Outcome {
    /// Every outcome, in the order of its number.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Error,
        Self::Timeout,
        Self::Cancelled,
        Self::Other,
    ];

    /// Returns the value of the label `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }

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
