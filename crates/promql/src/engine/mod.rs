//! Evaluates queries to scalars, vectors and matrices, with the semantics of Prometheus 3.
//!
//! [`syntax`] parses the text, `eval` evaluates the tree once for each step, and [`Engine`] holds the options. A
//! [`Prepared`] query caches the series of its selectors until the store adds or removes a series: rules that run
//! repeatedly neither parse nor look up series again.
//!
//! Native histograms and the experimental features of Prometheus 3 are not implemented. A query that uses them fails when it
//! is parsed, with an error that names the feature.

mod annotation;
mod error;
mod eval;
#[cfg(feature = "json")]
mod json;
mod limits;
mod number;
mod options;
mod prepared;
pub mod syntax;
#[cfg(all(test, feature = "json"))]
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
#[cfg(feature = "json")]
pub use json::ApiResponse;
pub use limits::Control;
pub use number::format_number;
pub use options::EngineOptions;
pub use prepared::Prepared;
pub use syntax::ParseError;
pub use value::{QueryResult, RangeSeries, Value, VectorSample};

use super::store::SeriesStore;

/// Evaluates queries. Engines are stateless and cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// The steps of a range query, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The time of the first step.
    pub start: i64,
    /// The latest time of a step.
    pub end: i64,
    /// The milliseconds between two steps.
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

    /// Parses a query for repeated evaluation.
    ///
    /// # Errors
    /// If the text is not a valid query. The error names the position.
    pub fn prepare(&self, query: &str) -> Result<Prepared, ParseError> {
        Prepared::new(query, &self.options.parse)
    }

    /// Evaluates a query at a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// If the text is not a valid query, if the evaluation fails as in Prometheus, or if a limit is exceeded.
    pub fn evaluate(
        &self,
        store: &SeriesStore,
        query: &str,
        time: i64,
    ) -> Result<QueryResult, QueryError> {
        let prepared = self.prepare(query)?;
        self.evaluate_prepared(store, &prepared, time)
    }

    /// Evaluates a prepared query at a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// If the evaluation fails as in Prometheus, or if a limit is exceeded.
    pub fn evaluate_prepared(
        &self,
        store: &SeriesStore,
        prepared: &Prepared,
        time: i64,
    ) -> Result<QueryResult, QueryError> {
        self.run(store, prepared).at(time)
    }

    /// Evaluates a query at each step of a range.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and if the range has no step or too many steps.
    pub fn query_range(
        &self,
        store: &SeriesStore,
        query: &str,
        range: Range,
    ) -> Result<QueryResult, QueryError> {
        let prepared = self.prepare(query)?;
        self.run(store, &prepared).over(range)
    }

    /// Prepares a run, to which the caller may add a clock and a cancellation flag.
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

/// A configured run of a query.
#[derive(Debug)]
pub struct Run<'a> {
    engine: &'a Engine,
    store: &'a SeriesStore,
    prepared: &'a Prepared,
    control: Control<'a>,
}

impl<'a> Run<'a> {
    /// Sets the clock for the time limit and the cancellation flag.
    #[must_use]
    pub fn with_control(mut self, control: Control<'a>) -> Self {
        self.control = control;
        self
    }

    /// Evaluates the query at a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// If the evaluation fails as in Prometheus, or if a limit is exceeded.
    pub fn at(self, time: i64) -> Result<QueryResult, QueryError> {
        let range = Range {
            start: time,
            end: time,
            step: 1,
        };
        self.evaluator(range).instant()
    }

    /// Evaluates the query at each step of a range.
    ///
    /// # Errors
    /// As [`at`](Self::at), and if the range has no step or too many steps.
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
