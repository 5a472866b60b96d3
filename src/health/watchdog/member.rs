//! The watchdog as a member of the health report.

use std::{collections::BTreeMap, time::Duration};

use super::{Condition, Watchdog};
use crate::{
    health::{
        HealthStatus,
        runtime_watch::{RuntimeFinding, RuntimeWatch},
    },
    observation::AttributeValue,
};

impl RuntimeWatch for Watchdog {
    fn finding(&self) -> RuntimeFinding {
        let findings = self.findings();
        let worst = findings
            .iter()
            .max_by_key(|finding| (finding.condition, finding.duration));
        let Some(worst) = worst else {
            return RuntimeFinding {
                status: HealthStatus::Healthy,
                message: "every worker makes progress".to_owned(),
                data: BTreeMap::new(),
                lasts: Duration::ZERO,
                is_blocked: false,
                all_still_for: None,
            };
        };
        let message = match findings.len() - 1 {
            0 => worst.to_string(),
            more => format!("{worst} (and {more} more)"),
        };
        let mut data = BTreeMap::new();
        for condition in Condition::ALL {
            let all = findings.iter();
            let count = all.filter(|finding| finding.condition == condition).count();
            data.insert(condition.as_str().to_owned(), AttributeValue::from(count));
        }
        RuntimeFinding {
            status: HealthStatus::Degraded,
            message,
            data,
            lasts: worst.duration,
            is_blocked: true,
            all_still_for: self.standstill(),
        }
    }
}
