//! Questions to the observatory about its own series, in `PromQL`.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::SystemTime,
};

use super::{Core, Observatory};
use crate::{
    config::{Config, QueryConfig},
    metrics::{catalog, collect::collector::Collector},
    query::{
        engine::{Control, Engine, QueryError, QueryResult, Range, Run},
        store::SeriesStore,
    },
};

/// The kept series, and the engine that answers questions about them.
pub(crate) struct Query {
    pub(crate) store: Arc<SeriesStore>,
    pub(crate) engine: Engine,
    /// What feeds the store, where it is to be fed. Not the working thread's own: a series that was known before a
    /// stop is no newborn after the start that follows.
    collector: Option<Mutex<Collector>>,
}

impl Query {
    pub(super) fn new(config: &Config) -> Self {
        let QueryConfig {
            enabled, retention, ..
        } = &config.query;
        let store = Arc::new(SeriesStore::new(retention.into()));
        let feed = || Mutex::new(Collector::new(Arc::clone(&store), config.tick));
        Self {
            collector: enabled.then(feed),
            store,
            engine: Engine::new((&config.query).into()),
        }
    }

    /// Copies every series as of now, and shows how the store is.
    pub(super) fn collect(&self, core: &Core) {
        let Some(collector) = &self.collector else {
            return;
        };
        let moment = core.moment();
        let now = i64::try_from(moment.wall.as_millis()).unwrap_or(i64::MAX);
        let stats = self.store.stats();
        let registry = &core.registry;
        for (gauge, value) in [
            (&catalog::STORE_SERIES, stats.series),
            (&catalog::STORE_SAMPLES, stats.samples),
            (&catalog::STORE_BYTES, stats.bytes),
        ] {
            registry.gauge(gauge, &[]).set(value as f64);
        }
        for (counter, value) in [
            (&catalog::STORE_EVICTED, stats.evicted_samples),
            (&catalog::STORE_REFUSED, stats.refused_samples),
        ] {
            registry.counter(counter, &[]).raise_to(value);
        }
        // Only the working thread takes it.
        let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
        collector.collect(registry, &moment, now);
    }
}

impl Core {
    /// Reads a query, and lets `answer` run it under this observatory's clock, until `cancel` is set.
    pub(crate) fn ask(
        &self,
        engine: &Engine,
        query: &str,
        cancel: Option<&AtomicBool>,
        answer: impl FnOnce(Run<'_>) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let prepared = engine.prepare(query)?;
        let clock = || self.now();
        let control = Control {
            clock: Some(&clock),
            cancel,
        };
        answer(
            engine
                .run(&self.query.store, &prepared)
                .with_control(control),
        )
    }
}

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
        let core = &self.0.core;
        core.ask(&core.query.engine, query, None, |run| {
            run.at(milliseconds(at))
        })
    }

    /// Evaluates a `PromQL` expression at every `step` from `start` to `end`.
    ///
    /// # Errors
    ///
    /// As [`Observatory::query`], and when the range has no or too many steps.
    pub fn query_range(&self, query: &str, range: Range) -> Result<QueryResult, QueryError> {
        let core = &self.0.core;
        core.ask(&core.query.engine, query, None, |run| run.over(range))
    }

    /// The kept series: for evaluating many expressions against them with an engine of your own.
    #[must_use]
    pub fn series_store(&self) -> &SeriesStore {
        &self.0.core.query.store
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let magnitude =
        |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => magnitude(since),
        Err(before) => -magnitude(before.duration()),
    }
}
