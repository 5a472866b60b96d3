//! Samples the process and the machine through `sysinfo` on each tick of the observatory.

use std::{sync::Arc, time::Duration};

use sysinfo::{
    CpuRefreshKind, MemoryRefreshKind, Networks, Pid, ProcessRefreshKind, ProcessesToUpdate,
    System, get_current_pid,
};

use super::{
    disk::DiskReader,
    runtimes::{RuntimeSampler, Runtimes},
};
use crate::metrics::{Registry, catalog};

/// The maximum number of network interfaces with metrics, since a container host can have many.
const MAX_INTERFACES: usize = 32;

/// Reads the process and the machine. Values that a system does not provide are left out of the metrics.
pub(crate) struct Sampler {
    system: Option<System>,
    networks: Option<Networks>,
    disks: DiskReader,
    #[cfg(feature = "gpu")]
    gpus: super::gpu::GpuReader,
    runtimes: RuntimeSampler,
    own: Option<Pid>,
    /// True if a CPU reading exists. CPU usage is the difference of two readings, so the first reading gives no value.
    has_cpu_before: bool,
}

impl Sampler {
    pub(crate) fn new(runtimes: Arc<Runtimes>) -> Self {
        Self {
            system: System::new().ok(),
            networks: Networks::new().ok(),
            disks: DiskReader::default(),
            #[cfg(feature = "gpu")]
            gpus: super::gpu::GpuReader::default(),
            runtimes: RuntimeSampler::new(runtimes),
            own: get_current_pid().ok(),
            has_cpu_before: false,
        }
    }

    /// Writes a sample; `now` is a reading of a monotonic clock.
    pub(crate) fn sample(&mut self, registry: &Registry, now: Duration) {
        if let Some(system) = &mut self.system {
            if let Some(own) = self.own {
                process(system, own, registry);
            }
            machine(
                system,
                self.own,
                registry,
                std::mem::replace(&mut self.has_cpu_before, true),
            );
        }
        if let Some(networks) = &mut self.networks {
            network(networks, registry);
        }
        self.disks.sample(registry);
        #[cfg(target_os = "linux")]
        super::cgroup::sample(registry);
        #[cfg(feature = "gpu")]
        self.gpus.sample(registry);
        self.runtimes.sample(registry, now);
    }
}

fn machine(system: &mut System, own: Option<Pid>, registry: &Registry, has_cpu_before: bool) {
    system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    if has_cpu_before {
        let usage = f64::from(system.global_cpu_usage()) / 100.0;
        registry.set(&catalog::SYSTEM_CPU_USAGE, &[], usage);
    }
    registry.set(&catalog::SYSTEM_CPU_CORES, &[], system.cpus().len() as f64);
    let (used, total) = memory(system, own);
    for (state, seed, bytes) in [
        ("used", "system_used", used),
        ("total", "system_total", total),
    ] {
        registry.set(&catalog::SYSTEM_MEMORY, &[("state", state)], bytes as f64);
        registry.set(&catalog::MEMORY_USAGE, &[("type", seed)], bytes as f64);
    }
    for (state, bytes) in [("used", system.used_swap()), ("total", system.total_swap())] {
        registry.set(&catalog::SYSTEM_SWAP, &[("state", state)], bytes as f64);
    }
    if let Ok(load) = System::load_average() {
        for (period, load) in [("1m", load.one), ("5m", load.five), ("15m", load.fifteen)] {
            registry.set(&catalog::SYSTEM_LOAD, &[("period", period)], load);
        }
    }
}

/// Returns the used and the total memory: of the machine, or of this process's cgroup if its limit is lower. In a
/// container, or under systemd's `MemoryMax`, the numbers of the machine do not show when the kernel will kill the
/// process. The cgroup's page cache of files does not count as used, since the kernel reclaims it on demand.
fn memory(system: &System, own: Option<Pid>) -> (u64, u64) {
    let total = system.total_memory();
    let of_process = own.and_then(|own| system.process(own)?.cgroup_limits());
    match of_process.or_else(|| system.cgroup_limits()) {
        Some(cgroup) if cgroup.total_memory > 0 && cgroup.total_memory < total => {
            let charged = cgroup.total_memory.saturating_sub(cgroup.free_memory);
            let used = if cgroup.rss > 0 {
                cgroup.rss.min(charged)
            } else {
                charged
            };
            (used, cgroup.total_memory)
        }
        _ => (system.used_memory(), total),
    }
}

fn process(system: &mut System, own: Pid, registry: &Registry) {
    let what = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, what);
    let Some(process) = system.process(own) else {
        return;
    };
    let (resident, virtual_) = (process.memory() as f64, process.virtual_memory() as f64);
    registry.set(&catalog::PROCESS_RESIDENT, &[], resident);
    registry.set(&catalog::PROCESS_VIRTUAL, &[], virtual_);
    registry.set(&catalog::MEMORY_USAGE, &[("type", "rss")], resident);
    registry.set(&catalog::MEMORY_USAGE, &[("type", "virtual")], virtual_);
    registry.set(
        &catalog::PROCESS_START_TIME,
        &[],
        process.start_time() as f64,
    );
    registry
        .counter(&catalog::PROCESS_CPU, &[])
        .raise_to_f64(process.accumulated_cpu_time() as f64 / 1e3);
    let counts = [
        (&catalog::PROCESS_OPEN_FDS, process.open_files()),
        (&catalog::PROCESS_MAX_FDS, process.open_files_limit()),
        // `tasks` lists the threads other than the main thread.
        (
            &catalog::PROCESS_THREADS,
            process.tasks().map(|tasks| tasks.len() + 1),
        ),
    ];
    for (metric, count) in counts {
        if let Some(count) = count {
            registry.set(metric, &[], count as f64);
        }
    }
}

fn network(networks: &mut Networks, registry: &Registry) {
    networks.refresh(true);
    for (interface, network) in networks.iter().take(MAX_INTERFACES) {
        let interface = interface.to_string_lossy();
        let labels = [("interface", &*interface)];
        registry
            .counter(&catalog::SYSTEM_NETWORK_RECEIVED, &labels)
            .raise_to(network.total_received());
        registry
            .counter(&catalog::SYSTEM_NETWORK_SENT, &labels)
            .raise_to(network.total_transmitted());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{RegistryOptions, catalog::Metric};

    #[test]
    fn this_process_and_this_machine_are_sampled() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let mut sampler = Sampler::new(Arc::default());
        sampler.sample(&registry, Duration::from_secs(1));
        sampler.sample(&registry, Duration::from_secs(2));
        let gauge = |metric: &'static Metric, labels: &[(&str, &str)]| {
            registry.gauge(metric, labels).value()
        };
        assert!(gauge(&catalog::PROCESS_RESIDENT, &[]) > 1e6);
        assert!(gauge(&catalog::PROCESS_OPEN_FDS, &[]) >= 3.0);
        assert!(gauge(&catalog::PROCESS_START_TIME, &[]) > 1.5e9);
        let (used, total) = (
            gauge(&catalog::MEMORY_USAGE, &[("type", "system_used")]),
            gauge(&catalog::MEMORY_USAGE, &[("type", "system_total")]),
        );
        assert!(0.0 < used && used < total, "{used} of {total}");
        assert!((0.0..=1.0).contains(&gauge(&catalog::SYSTEM_CPU_USAGE, &[])));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_are_counted_as_the_kernel_does() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let kernels = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let threads = status
                .lines()
                .find_map(|line| line.strip_prefix("Threads:"))
                .unwrap();
            threads.trim().parse::<f64>().unwrap()
        };
        // Other tests start and end threads concurrently: a single equal reading is enough.
        let agree = (0..1_000).any(|_| {
            let before = kernels();
            Sampler::new(Arc::default()).sample(&registry, Duration::ZERO);
            before == registry.gauge(&catalog::PROCESS_THREADS, &[]).value() && before == kernels()
        });
        assert!(agree);
    }
}
