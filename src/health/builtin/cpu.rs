//! The check of the CPU: its use between two runs.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sysinfo::{CpuRefreshKind, System};

use super::usage;
use crate::{
    health::{Check, CheckResult, HealthStatus},
    runtime::lock,
};

/// The time of the first measurement, which has no run before it.
const FIRST: Duration = Duration::from_millis(250);

/// Returns the check of the machine's CPU.
pub(super) fn check(threshold: f64) -> Check {
    let system = Arc::new(Mutex::new((System::new().ok(), false)));
    Check::own(move || {
        let system = Arc::clone(&system);
        async move {
            let has_before = std::mem::replace(&mut lock(&system).1, true);
            if !has_before {
                read(&system);
                tokio::time::sleep(FIRST).await;
            }
            let Some((percent, cores)) = read(&system) else {
                return CheckResult::healthy(
                    "not measured: the system does not tell the use of the CPU",
                )
                .with_data("measured", false);
            };
            let (status, message) = usage("the CPU", percent, threshold, None);
            // The start of the service itself takes most of the first measurement.
            let status = if has_before {
                status
            } else {
                HealthStatus::Healthy
            };
            CheckResult::new(status, message)
                .with_data("used_percent", percent)
                .with_data("cores", cores)
        }
    })
}

/// Returns the use since the last reading in percent, and the number of cores.
fn read(system: &Mutex<(Option<System>, bool)>) -> Option<(f64, usize)> {
    let mut locked = lock(system);
    let system = locked.0.as_mut()?;
    system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
    let cores = system.cpus().len();
    // Rounding can exceed the whole by a hair.
    let percent = f64::from(system.global_cpu_usage()).min(100.0);
    (cores > 0).then_some((percent, cores))
}
