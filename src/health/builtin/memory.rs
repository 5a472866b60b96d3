//! The check of memory: of the machine, or of the process's cgroup if its limit is lower.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use sysinfo::{MemoryRefreshKind, System};

use super::{cgroup, usage};
use crate::{
    health::{Check, CheckResult},
    runtime::lock,
};

/// Returns the check of memory.
pub(super) fn check(threshold: f64) -> Check {
    let system = Arc::new(Mutex::new(System::new().ok()));
    Check::own(move || {
        let system = Arc::clone(&system);
        async move { measure(&system, threshold) }
    })
}

fn measure(system: &Mutex<Option<System>>, threshold: f64) -> CheckResult {
    let of_machine = lock(system).as_mut().map(|system| {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        (system.used_memory(), system.total_memory())
    });
    let of_cgroup = cgroup::read(Path::new("/")).memory;
    let (what, used, total) = match (of_machine, of_cgroup) {
        (Some((_, total)), Some(cgroup)) if cgroup.limit < total => {
            ("the cgroup's memory", cgroup.used, cgroup.limit)
        }
        (Some((used, total)), _) if total > 0 => ("the memory", used, total),
        _ => {
            return CheckResult::healthy(
                "not measured: the system does not tell the use of memory",
            )
            .with_data("measured", false);
        }
    };
    let percent = 100.0 * used as f64 / total as f64;
    let (status, message) = usage(what, percent, threshold, None);
    CheckResult::new(status, message)
        .with_data("used_percent", percent)
        .with_data("used_bytes", used)
        .with_data("total_bytes", total)
}
