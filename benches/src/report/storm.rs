//! Ten thousand alerts, in words.

use super::Report;
use crate::{
    Failure,
    storm::{self, ALERTS, Figures},
};

/// Milliseconds of a round at most.
const MOST_ROUND: f64 = 200.0;

impl Report {
    /// Measures a storm of alerts; whether a round is within its target.
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
            format_args!("a round over {ALERTS} alerts that fire in at most {MOST_ROUND} ms"),
            format_args!("{:.0} ms", round.value),
            round.value <= MOST_ROUND,
        ))
    }
}
