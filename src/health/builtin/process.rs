//! The check of the process: descriptors, threads, and memory against the limit of its cgroup.

use std::{fs, path::Path};

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};

use super::{EXHAUSTED_PERCENT, cgroup, join, usage};
use crate::health::{Check, CheckResult, HealthStatus};

/// The percentage of descriptors and threads above which the process is degraded.
const DEGRADED_PERCENT: f64 = 90.0;

/// Returns the check of the process. Above `memory_percent` of its cgroup's memory, the process is degraded.
pub(super) fn check(memory_percent: f64) -> Check {
    Check::own(move || async move { measure(memory_percent) })
}

fn measure(memory_percent: f64) -> CheckResult {
    let (mut parts, mut data) = (Vec::new(), Vec::new());
    if let Some((open, limit)) = descriptors() {
        let percent = 100.0 * open as f64 / limit as f64;
        let limit_percent = Some(EXHAUSTED_PERCENT);
        parts.push(usage(
            "the file descriptors",
            percent,
            DEGRADED_PERCENT,
            limit_percent,
        ));
        data.push(("open_descriptors".to_owned(), open.into()));
        data.push(("max_descriptors".to_owned(), limit.into()));
    }
    let cgroup = cgroup::read(Path::new("/"));
    if let Some(memory) = cgroup.memory {
        let percent = 100.0 * memory.used as f64 / memory.limit as f64;
        let limit_percent = Some(EXHAUSTED_PERCENT);
        parts.push(usage(
            "the cgroup's memory",
            percent,
            memory_percent,
            limit_percent,
        ));
        data.push(("cgroup_memory_used_bytes".to_owned(), memory.used.into()));
        data.push(("cgroup_memory_max_bytes".to_owned(), memory.limit.into()));
    }
    if let Some(threads) = cgroup.threads {
        let percent = 100.0 * threads.used as f64 / threads.limit as f64;
        parts.push(usage(
            "the cgroup's threads",
            percent,
            DEGRADED_PERCENT,
            None,
        ));
    }
    if let Ok(threads) = fs::read_dir("/proc/self/task") {
        data.push(("threads".to_owned(), threads.count().into()));
    }
    if parts.is_empty() {
        let message = "not measured: the system does not tell the limits of the process";
        parts.push((HealthStatus::Healthy, message.to_owned()));
    }
    join(parts, data)
}

/// Returns the number of open descriptors, and their limit.
fn descriptors() -> Option<(u64, u64)> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    match fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd")) {
        // The directory itself is open while it is read.
        Ok(open) => Some(((open.count() as u64).saturating_sub(1), limit)),
        Err(error) if error.raw_os_error() == Some(Errno::EMFILE as i32) => Some((limit, limit)),
        Err(_) => None,
    }
}
