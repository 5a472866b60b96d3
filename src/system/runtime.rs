//! Reads the metrics that stable tokio exposes about the application's runtime: the runtime in which the observatory
//! was built.

use tokio::runtime::Handle;

use crate::metrics::{Registry, catalog};

/// Reads the runtime that was current when this reader was created; reads nothing if there was no runtime.
#[derive(Default)]
pub(crate) struct RuntimeReader {
    runtime: Option<Handle>,
}

impl RuntimeReader {
    pub(crate) fn of_current() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
        }
    }

    pub(crate) fn sample(&self, registry: &Registry) {
        let Some(runtime) = &self.runtime else { return };
        let metrics = runtime.metrics();
        let workers = metrics.num_workers();
        let busy: f64 = (0..workers)
            .map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64())
            .sum();
        registry.set(&catalog::TOKIO_WORKERS, &[], workers as f64);
        registry.set(&catalog::TOKIO_TASKS, &[], metrics.num_alive_tasks() as f64);
        registry.set(
            &catalog::TOKIO_QUEUE,
            &[],
            metrics.global_queue_depth() as f64,
        );
        registry
            .counter(&catalog::TOKIO_BUSY, &[])
            .raise_to_f64(busy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    #[test]
    fn the_runtime_of_the_creating_thread_is_read_from_any_thread() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let reader = runtime.block_on(async { RuntimeReader::of_current() });
        reader.sample(&registry);
        assert_eq!(registry.gauge(&catalog::TOKIO_WORKERS, &[]).value(), 1.0);
        RuntimeReader::of_current().sample(&registry);
    }
}
