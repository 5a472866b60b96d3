//! Turns a query and a time into scalars, vectors and matrices, with the semantics of Prometheus 3.
//!
//! [`syntax`] reads the text, `eval` walks the tree once for every step, [`Engine`] holds the options and puts
//! limits around both. A [`Prepared`] query remembers which series its selectors matched until the store gets
//! or loses a series: rules that run again and again parse nothing and look nothing up.
//!
//! Left out: native histograms and what Prometheus 3 keeps behind experimental flags; both are refused by name
//! when the query is read.

mod annotation;
mod error;
mod eval;
mod json;
mod limits;
mod number;
mod options;
mod prepared;
pub mod syntax;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on says so by panicking, and its numbers are small"
)]
mod tests;
mod value;

pub use error::QueryError;
pub use json::ApiResponse;
pub use limits::Control;
pub use number::format_number;
pub use options::EngineOptions;
pub use prepared::Prepared;
pub use syntax::ParseError;
pub use value::{QueryResult, RangeSeries, Value, VectorSample};

use super::store::SeriesStore;

/// Evaluates queries; cheap to clone and without state of its own.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// The times at which a range query is evaluated, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first time.
    pub start: i64,
    /// No time is later than this.
    pub end: i64,
    /// Milliseconds from one time to the next.
    pub step: i64,
}

impl Engine {
    /// Creates an engine.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Returns the options.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Reads a query, for evaluating it again and again.
    ///
    /// # Errors
    /// When the text is no query, with the place.
    pub fn prepare(&self, query: &str) -> Result<Prepared, ParseError> {
        Prepared::new(query, &self.options.parse)
    }

    /// Evaluates a query at one time, in milliseconds since the epoch.
    ///
    /// # Errors
    /// When the text is no query, the evaluation fails as it would in Prometheus, or a limit is reached.
    pub fn evaluate(
        &self,
        store: &SeriesStore,
        query: &str,
        time: i64,
    ) -> Result<QueryResult, QueryError> {
        let prepared = self.prepare(query)?;
        self.evaluate_prepared(store, &prepared, time)
    }

    /// Evaluates a query that has been read before, at one time.
    ///
    /// # Errors
    /// When the evaluation fails as it would in Prometheus, or a limit is reached.
    pub fn evaluate_prepared(
        &self,
        store: &SeriesStore,
        prepared: &Prepared,
        time: i64,
    ) -> Result<QueryResult, QueryError> {
        self.run(store, prepared).at(time)
    }

    /// Evaluates a query at every step of a range.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and when the range has no or too many steps.
    pub fn query_range(
        &self,
        store: &SeriesStore,
        query: &str,
        range: Range,
    ) -> Result<QueryResult, QueryError> {
        let prepared = self.prepare(query)?;
        self.run(store, &prepared).over(range)
    }

    /// Starts a run that can be given a clock and a way to cancel it.
    #[must_use]
    pub fn run<'a>(&'a self, store: &'a SeriesStore, prepared: &'a Prepared) -> Run<'a> {
        Run {
            engine: self,
            store,
            prepared,
            control: Control::default(),
        }
    }
}

/// One run of a query that is about to start.
#[derive(Debug)]
pub struct Run<'a> {
    engine: &'a Engine,
    store: &'a SeriesStore,
    prepared: &'a Prepared,
    control: Control<'a>,
}

impl<'a> Run<'a> {
    /// Sets the clock that the time limit is measured with, and the flag that cancels the run.
    #[must_use]
    pub fn with_control(mut self, control: Control<'a>) -> Self {
        self.control = control;
        self
    }

    /// Evaluates at one time, in milliseconds since the epoch.
    ///
    /// # Errors
    /// When the evaluation fails as it would in Prometheus, or a limit is reached.
    pub fn at(self, time: i64) -> Result<QueryResult, QueryError> {
        let range = Range {
            start: time,
            end: time,
            step: 1,
        };
        self.evaluator(range).instant()
    }

    /// Evaluates at every step of a range.
    ///
    /// # Errors
    /// As [`at`](Self::at), and when the range has no or too many steps.
    pub fn over(self, range: Range) -> Result<QueryResult, QueryError> {
        if range.step <= 0 {
            return Err(QueryError::ZeroStep);
        }
        if range.end < range.start {
            return Err(QueryError::EndBeforeStart);
        }
        let steps = range.end.saturating_sub(range.start) / range.step;
        if steps > self.engine.options.max_steps {
            return Err(QueryError::TooManySteps {
                limit: self.engine.options.max_steps,
            });
        }
        self.evaluator(range).range()
    }

    fn evaluator(self, range: Range) -> eval::Evaluator<'a> {
        eval::Evaluator::new(&eval::Request {
            store: self.store,
            options: &self.engine.options,
            prepared: self.prepared,
            control: self.control,
            range,
        })
    }
}
