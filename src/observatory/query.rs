//! `PromQL` queries of the application about its own series.

use std::time::SystemTime;

use super::Observatory;
use crate::{
    query::{
        engine::{QueryError, QueryResult, Range},
        store::SeriesStore,
    },
    runtime::clock::unix_ms,
};

impl Observatory {
    /// Evaluates a `PromQL` expression at a time: now is `SystemTime::now()`, or your own clock's.
    ///
    /// Series are kept at each tick (`config.tick`), for `config.query.retention`.
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
    /// When the text is no query, the evaluation fails as it would in Prometheus, or a limit of `config.query` is
    /// reached.
    pub fn query(&self, query: &str, at: SystemTime) -> Result<QueryResult, QueryError> {
        let queries = &self.0.core.queries;
        queries.run(&queries.engine, query, None, |run| run.at(unix_ms(at)))
    }

    /// Evaluates a `PromQL` expression at every `step` from `start` to `end`.
    ///
    /// # Errors
    ///
    /// As [`Observatory::query`], and when the range has no or too many steps.
    pub fn query_range(&self, query: &str, range: Range) -> Result<QueryResult, QueryError> {
        let queries = &self.0.core.queries;
        queries.run(&queries.engine, query, None, |run| run.over(range))
    }

    /// The kept series: for evaluating many expressions against them with an engine of your own.
    #[must_use]
    pub fn series_store(&self) -> &SeriesStore {
        &self.0.core.queries.store
    }
}
