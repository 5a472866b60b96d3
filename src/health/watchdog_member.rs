//! Makes the findings of the watchdog a member of the health report.

use std::{collections::BTreeMap, time::Duration};

use super::{
    HealthStatus, Watchdog,
    runtime_watch::{RuntimeFinding, RuntimeWatch},
};

impl RuntimeWatch for Watchdog {
    /// Returns the worst finding: the worst condition, and of its findings the longest.
    fn finding(&self) -> RuntimeFinding {
        let findings = self.findings();
        let worst = findings
            .iter()
            .max_by_key(|finding| (finding.condition, finding.duration));
        let (status, message) = match worst {
            None => (
                HealthStatus::Healthy,
                "every worker makes progress".to_owned(),
            ),
            Some(worst) => (HealthStatus::Degraded, worst.to_string()),
        };
        RuntimeFinding {
            status,
            message,
            data: BTreeMap::from([("findings".to_owned(), findings.len().into())]),
            lasts: worst.map_or(Duration::ZERO, |worst| worst.duration),
            is_blocked: worst.is_some(),
            all_still_for: self.standstill(),
        }
    }
}
