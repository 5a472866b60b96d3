//! The report: three columns that must agree, and the rules that are broken.

mod compare;
mod exposition;
mod join;
mod spans;

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

pub(crate) use self::compare::compare;
pub(crate) use self::exposition::Scrape;
pub(crate) use self::spans::spans;
use crate::cli::Summary;

/// The client's results, the ledger, and `/metrics`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
    /// The rules that do not hold; empty if the columns agree.
    pub(crate) broken: Vec<String>,
}

/// One counted quantity.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `None` if the client cannot know the number.
    pub(crate) client: Option<u64>,
    pub(crate) ledger: u64,
    /// `None` if there is no metric for the quantity.
    pub(crate) metrics: Option<f64>,
}

impl Report {
    pub(crate) fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }

    /// Prints the text to standard output; with JSON, prints JSON there and the text to standard error.
    ///
    /// # Errors
    ///
    /// Returns an error if the stream is closed.
    pub(crate) fn print(&self, summary: Summary) -> io::Result<()> {
        match summary {
            Summary::Text => write!(io::stdout(), "{self}"),
            Summary::Json => {
                write!(io::stderr(), "{self}")?;
                writeln!(io::stdout(), "{}", serde_json::to_string_pretty(self)?)
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\n{:<36} {:>12} {:>12} {:>12}",
            "", "client", "ledger", "/metrics"
        )?;
        for row in &self.rows {
            let client = row
                .client
                .map_or_else(|| "-".to_owned(), |client| client.to_string());
            let metrics = row
                .metrics
                .map_or_else(|| "-".to_owned(), |metrics| metrics.to_string());
            writeln!(
                formatter,
                "{:<36} {client:>12} {:>12} {metrics:>12}",
                row.name, row.ledger
            )?;
        }
        writeln!(formatter)?;
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        for broken in &self.broken {
            writeln!(formatter, "BROKEN: {broken}")?;
        }
        let verdict = if self.holds() {
            "ledger and /metrics agree exactly"
        } else {
            "the columns do not agree"
        };
        writeln!(formatter, "{verdict} ({:.1} s)", self.seconds)
    }
}
