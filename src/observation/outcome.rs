//! How an operation ended.

/// How an operation ended; the label `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// It did what was asked.
    #[default]
    Success,
    /// It failed.
    Error,
    /// It took too long and was given up.
    Timeout,
    /// Nobody waited for the result any more.
    Cancelled,
    /// A status was recorded that is none of the above.
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

    /// The value of the label `status`.
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

    /// Reads a `status` field, in the spellings that services use. Unknown ones are [`Outcome::Other`].
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

    /// Whether it counts as an error of the service: `error` or `timeout`.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Error | Self::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_its_own_label() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), outcome);
        }
        assert_eq!(Outcome::parse("OK"), Outcome::Success);
        assert_eq!(Outcome::parse("Canceled"), Outcome::Cancelled);
        assert_eq!(Outcome::parse("rate limited, sorry"), Outcome::Other);
    }
}
