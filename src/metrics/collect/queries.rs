//! The series store of an observatory, the engine that queries it, and the collector that fills it.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use super::{collector::Collector, exemplars};
use crate::{
    metrics::{Gatherer, QueryBudget, QueryConfig, Share, catalog},
    query::{
        engine::{Control, Engine, QueryError, QueryResult, Run},
        store::SeriesStore,
    },
    runtime::{lock, unix_ms::UnixMs},
};

/// The stored series of an observatory, and the engine that queries them.
pub(crate) struct Queries {
    pub(crate) store: Arc<SeriesStore>,
    pub(crate) engine: Engine,
    pub(crate) gatherer: Arc<Gatherer>,
    /// The memory of the queries of clients.
    pub(crate) budget: Arc<QueryBudget>,
    /// The memory of the queries of this process: rules, and queries of the application. Clients cannot exhaust it.
    pub(crate) own_budget: Arc<QueryBudget>,
    /// Fills the store, if series are kept. It outlives the working thread, since a series that was known before a
    /// stop must not start at zero again after the next start.
    collector: Option<Mutex<Collector>>,
}

/// The limits of one run of a query.
#[derive(Clone, Copy)]
pub(crate) struct RunLimits<'a> {
    /// The engine, with its options.
    pub(crate) engine: &'a Engine,
    /// Counts the samples that the run holds.
    pub(crate) share: &'a Share,
    /// Ends the run once it is set.
    pub(crate) cancel: Option<&'a AtomicBool>,
}

impl Queries {
    /// Creates an empty store, which [`Queries::collect`] fills once a `tick`.
    pub(crate) fn new(options: &QueryConfig, tick: Duration, gatherer: Arc<Gatherer>) -> Self {
        let store = Arc::new(SeriesStore::new((&options.retention).into()));
        let collector = || Mutex::new(Collector::new(Arc::clone(&store), tick));
        Self {
            collector: options.enabled.then(collector),
            store,
            engine: Engine::new(options.into()),
            budget: QueryBudget::new(options.max_memory),
            own_budget: QueryBudget::new(options.max_memory),
            gatherer,
        }
    }

    /// Copies every series as of now into the store, and updates the metrics about the store.
    pub(crate) fn collect(&self) {
        let Some(collector) = &self.collector else {
            return;
        };
        let moment = self.gatherer.gather();
        let now = self.now().as_i64();
        let stats = self.store.stats();
        let registry = &self.gatherer.registry;
        for (gauge, value) in [
            (&catalog::STORE_SERIES, stats.series),
            (&catalog::STORE_SAMPLES, stats.samples),
            (&catalog::STORE_BYTES, stats.bytes),
            (&catalog::QUERY_BYTES, self.budget.held_bytes() as u64),
        ] {
            registry.set(gauge, &[], value as f64);
        }
        for (counter, value) in [
            (&catalog::STORE_EVICTED, stats.evicted_samples),
            (&catalog::STORE_REFUSED, stats.refused_samples),
        ] {
            registry.counter(counter, &[]).raise_to(value);
        }
        lock(collector).collect(registry, &moment, now);
    }

    /// Moves the times of all samples and exemplars by a step of the wall clock.
    pub(crate) fn shift(&self, by_ms: i64) {
        self.store.shift(by_ms);
        exemplars::shift(&self.gatherer.registry, by_ms);
        if let Some(collector) = &self.collector {
            lock(collector).shift(by_ms);
        }
    }

    /// Parses a query, and evaluates it with `evaluate` within `limits`. The share then holds at least the result. Unknown
    /// metrics are warnings of the result.
    pub(crate) fn run(
        &self,
        query: &str,
        limits: &RunLimits<'_>,
        evaluate: impl FnOnce(Run<'_>) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let RunLimits {
            engine,
            share,
            cancel,
        } = *limits;
        let prepared = engine.prepare(query)?;
        let clock = || self.gatherer.uptime();
        let held = |samples| share.hold_samples(samples);
        let control = Control {
            clock: Some(&clock),
            cancel,
            held: Some(&held),
        };
        let mut result = evaluate(engine.run(&self.store, &prepared).with_control(control))?;
        let prefix = self.gatherer.registry.prefix();
        let unknown = self.unknown_metrics(prepared.expr());
        let warnings = unknown.iter().map(|metric| metric.message(prefix));
        result.warnings.extend(warnings);
        Ok(result)
    }

    /// Returns the time of new samples and of queries: the wall clock without a step that is not applied yet.
    pub(crate) fn now(&self) -> UnixMs {
        self.gatherer.clock.unix_ms()
    }
}
