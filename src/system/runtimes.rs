//! Reads the six numbers that stable tokio exposes about the application's runtimes: the runtime in which the observatory
//! starts, and registered runtimes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::Handle;

use crate::{
    metrics::{Registry, catalog},
    runtime::lock,
};

/// The name of the runtime in which the observatory starts. Its series have no label `runtime`.
pub(crate) const MAIN: &str = "main";
/// Max watched runtimes.
const MAX_RUNTIMES: usize = 16;
/// Max workers of a runtime with series of their own.
const MAX_WORKERS: usize = 64;

/// The runtimes of the application, by their names.
#[derive(Default)]
pub(crate) struct Runtimes(Mutex<Vec<(Arc<str>, Handle)>>);

impl Runtimes {
    /// Adds the runtime of the calling thread as the main runtime, unless there is one.
    pub(crate) fn add_current(&self) {
        if let Ok(current) = Handle::try_current()
            && self.named(MAIN).is_none()
        {
            self.add(MAIN, &current);
        }
    }

    /// Adds a runtime, or replaces the runtime of this name; returns `false` if there are too many.
    pub(crate) fn add(&self, name: &str, runtime: &Handle) -> bool {
        let mut all = lock(&self.0);
        if let Some(known) = all.iter_mut().find(|(known, _)| **known == *name) {
            known.1 = runtime.clone();
            return true;
        }
        let has_room = all.len() < MAX_RUNTIMES;
        if has_room {
            all.push((name.into(), runtime.clone()));
        }
        has_room
    }

    pub(crate) fn all(&self) -> Vec<(Arc<str>, Handle)> {
        lock(&self.0).clone()
    }

    pub(crate) fn named(&self, name: &str) -> Option<Handle> {
        let all = lock(&self.0);
        let found = all.iter().find(|(known, _)| **known == *name);
        found.map(|(_, runtime)| runtime.clone())
    }
}

/// Writes the numbers of the runtimes into the registry.
#[derive(Default)]
pub(super) struct RuntimeSampler {
    runtimes: Arc<Runtimes>,
    /// The time of the last sample of a runtime, and its busy time then.
    last: HashMap<Arc<str>, (Duration, Duration)>,
}

impl RuntimeSampler {
    pub(super) fn new(runtimes: Arc<Runtimes>) -> Self {
        Self {
            runtimes,
            last: HashMap::new(),
        }
    }

    /// Writes the numbers; `now` is a reading of a monotonic clock.
    pub(super) fn sample(&mut self, registry: &Registry, now: Duration) {
        for (name, runtime) in self.runtimes.all() {
            let metrics = runtime.metrics();
            // An empty value is an absent label.
            let label = if &*name == MAIN { "" } else { &*name };
            let labels = [("runtime", label)];
            let workers = metrics.num_workers();
            let mut all_busy = Duration::ZERO;
            for worker in 0..workers {
                let busy = metrics.worker_total_busy_duration(worker);
                all_busy += busy;
                if worker < MAX_WORKERS {
                    let number = worker.to_string();
                    let labels = [("runtime", label), ("worker", &number)];
                    registry
                        .counter(&catalog::TOKIO_BUSY, &labels)
                        .raise_to_f64(busy.as_secs_f64());
                    for (metric, count) in [
                        (&catalog::TOKIO_PARKS, metrics.worker_park_count(worker)),
                        (
                            &catalog::TOKIO_PARKS_AND_UNPARKS,
                            metrics.worker_park_unpark_count(worker),
                        ),
                    ] {
                        registry.counter(metric, &labels).raise_to(count);
                    }
                }
            }
            for (metric, number) in [
                (&catalog::TOKIO_WORKERS, workers),
                (&catalog::TOKIO_TASKS, metrics.num_alive_tasks()),
                (&catalog::TOKIO_QUEUE, metrics.global_queue_depth()),
            ] {
                registry.set(metric, &labels, number as f64);
            }
            if let Some((then, before)) = self.last.insert(Arc::clone(&name), (now, all_busy))
                && let Some(ratio) = busy_ratio(
                    now.saturating_sub(then),
                    all_busy.saturating_sub(before),
                    workers,
                )
            {
                registry.set(&catalog::TOKIO_BUSY_RATIO, &labels, ratio);
            }
        }
    }
}

/// Returns the share of the time of all workers that was busy; `None` without time or workers. A long batch of polls adds its
/// time at its end, so the share of a single interval can exceed 1 before the limit.
fn busy_ratio(elapsed: Duration, busy: Duration, workers: usize) -> Option<f64> {
    let available = elapsed.as_secs_f64() * workers as f64;
    (available > 0.0).then(|| (busy.as_secs_f64() / available).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    #[test]
    fn every_runtime_is_sampled_and_the_main_runtime_has_no_label() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let build = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
        };
        let (main, other) = (build().unwrap(), build().unwrap());
        let runtimes = Arc::new(Runtimes::default());
        main.block_on(async { runtimes.add_current() });
        assert!(runtimes.add("batch", other.handle()) && runtimes.add("batch", other.handle()));
        let mut sampler = RuntimeSampler::new(runtimes);
        sampler.sample(&registry, Duration::from_secs(1));
        let spin = || {
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(30) {}
        };
        other.block_on(async move { tokio::spawn(async move { spin() }).await.unwrap() });
        // The busy time is added when the worker parks.
        while other.metrics().worker_total_busy_duration(0)
            + other.metrics().worker_total_busy_duration(1)
            < Duration::from_millis(20)
        {
            std::thread::yield_now();
        }
        sampler.sample(&registry, Duration::from_secs(2));
        let gauge = |metric, labels: &[(&str, &str)]| registry.gauge(metric, labels).value();
        assert_eq!(gauge(&catalog::TOKIO_WORKERS, &[]), 2.0);
        let batch = [("runtime", "batch")];
        assert_eq!(gauge(&catalog::TOKIO_WORKERS, &batch), 2.0);
        let ratio = gauge(&catalog::TOKIO_BUSY_RATIO, &batch);
        assert!((0.01..0.9).contains(&ratio), "{ratio}");
        let parks: f64 = ["0", "1"]
            .map(|worker| {
                let labels = [("runtime", "batch"), ("worker", worker)];
                registry
                    .counter(&catalog::TOKIO_PARKS, &labels)
                    .value()
                    .as_f64()
            })
            .iter()
            .sum();
        assert!(parks >= 2.0, "{parks}");
    }

    #[test]
    fn a_busy_ratio_lies_between_0_and_1() {
        let seconds = Duration::from_secs;
        assert_eq!(busy_ratio(seconds(10), seconds(5), 2), Some(0.25));
        assert_eq!(busy_ratio(seconds(10), seconds(50), 2), Some(1.0));
        assert_eq!(busy_ratio(seconds(0), seconds(5), 2), None);
    }
}
