//! The series store of an observatory, the engine that queries it, and the collector that fills it.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use super::collector::Collector;
use crate::{
    metrics::{Gatherer, QueryConfig, catalog},
    query::{
        engine::{Control, Engine, QueryError, QueryResult, Run},
        store::SeriesStore,
    },
    runtime::{
        lock,
        unix_ms::{UnixMs, duration_as_ms},
    },
};

/// The stored series of an observatory, and the engine that queries them.
pub(crate) struct Queries {
    pub(crate) store: Arc<SeriesStore>,
    pub(crate) engine: Engine,
    pub(crate) gatherer: Arc<Gatherer>,
    /// Fills the store, if series are kept. It outlives the working thread, since a series that was known before a
    /// stop must not start at zero again after the next start.
    collector: Option<Mutex<Collector>>,
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
            gatherer,
        }
    }

    /// Copies every series as of now into the store, and updates the metrics about the store.
    pub(crate) fn collect(&self) {
        let Some(collector) = &self.collector else {
            return;
        };
        let moment = self.gatherer.gather();
        let now = duration_as_ms(moment.wall);
        let stats = self.store.stats();
        let registry = &self.gatherer.registry;
        for (gauge, value) in [
            (&catalog::STORE_SERIES, stats.series),
            (&catalog::STORE_SAMPLES, stats.samples),
            (&catalog::STORE_BYTES, stats.bytes),
        ] {
            registry.set(gauge, &[], value as f64);
        }
        for (counter, value) in [
            (&catalog::STORE_EVICTED, stats.evicted_samples),
            (&catalog::STORE_REFUSED, stats.refused_samples),
        ] {
            registry.counter(counter, &[]).raise_to(value);
        }
        // Only the working thread locks it.
        let mut collector = lock(collector);
        collector.collect(registry, &moment, now);
    }

    /// Parses a query with the limits of `engine`, and evaluates it with `evaluate` until `cancel` is set.
    pub(crate) fn run(
        &self,
        engine: &Engine,
        query: &str,
        cancel: Option<&AtomicBool>,
        evaluate: impl FnOnce(Run<'_>) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let prepared = engine.prepare(query)?;
        let clock = || self.gatherer.uptime();
        let control = Control {
            clock: Some(&clock),
            cancel,
        };
        evaluate(engine.run(&self.store, &prepared).with_control(control))
    }

    /// Returns the time of the wall clock.
    pub(crate) fn now(&self) -> UnixMs {
        self.gatherer.clock.unix_ms()
    }
}
