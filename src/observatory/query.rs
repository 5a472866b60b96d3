//! Evaluates `PromQL` queries of the application over its own series.

use std::time::SystemTime;

use super::Observatory;
use crate::{
    metrics::collect::RunLimits,
    query::{
        engine::{QueryError, QueryResult, Range, Run},
        store::SeriesStore,
    },
    runtime::unix_ms::UnixMs,
};

impl Observatory {
    /// Evaluates a `PromQL` expression at a time. The current time is `SystemTime::now()`, or the time of the
    /// application's `Clock`.
    ///
    /// Series are stored at each tick (`config.tick`), and kept for `config.query.retention`.
    ///
    /// ```
    /// # use llm_observatory::{Config, Observatory};
    /// # use std::time::SystemTime;
    /// # let config = Config::default().without_server();
    /// # let (_, observatory) = Observatory::builder(config).build::<tracing_subscriber::Registry>()?;
    /// let rate = observatory.query("sum(rate(llm_router_model_inference_total[5m]))", SystemTime::now())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a valid query, if the evaluation fails as it would in Prometheus, or if a
    /// limit of `config.query` is reached.
    pub fn query(&self, query: &str, at: SystemTime) -> Result<QueryResult, QueryError> {
        self.run(query, |run| run.at(UnixMs::from(at).as_i64()))
    }

    /// Evaluates a `PromQL` expression at every `step` from `start` to `end`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Observatory::query`], and an error if the range has no steps or too many.
    pub fn query_range(&self, query: &str, range: Range) -> Result<QueryResult, QueryError> {
        self.run(query, |run| run.over(range))
    }

    fn run(
        &self,
        query: &str,
        evaluate: impl FnOnce(Run<'_>) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let queries = &self.0.core.queries;
        let limits = RunLimits {
            engine: &queries.engine,
            share: &queries.own_budget.share(),
            cancel: None,
        };
        queries.run(query, &limits, evaluate)
    }

    /// Returns the stored series, for an application that evaluates many expressions with its own engine.
    #[must_use]
    pub fn series_store(&self) -> &SeriesStore {
        &self.0.core.queries.store
    }
}
