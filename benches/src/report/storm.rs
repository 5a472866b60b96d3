//! The section of the report on ten thousand alerts.

use super::Report;
use crate::{
    Failure,
    storm::{self, ALERTS, Figures},
};

/// Maximum milliseconds of a round.
const MAX_ROUND_MILLISECONDS: f64 = 200.0;

impl Report {
    /// Measures a storm of alerts; returns whether a round is within its target.
    pub(crate) fn storm(&mut self) -> Result<bool, Failure> {
        self.section("A storm of alerts", "storm");
        let Figures {
            first,
            round,
            mebibytes,
        } = storm::measure()?;
        self.line(format_args!(
            "{ALERTS} alerts of one rule, with two templates each, fire in every round. The first takes {first:.0} ms, the others {round:.0} ms; the store then has {mebibytes:.0} MiB.\n"
        ));
        Ok(self.target(
            format_args!(
                "a round with {ALERTS} firing alerts takes at most {MAX_ROUND_MILLISECONDS} ms"
            ),
            format_args!("{:.0} ms", round.value),
            round.value <= MAX_ROUND_MILLISECONDS,
        ))
    }
}
