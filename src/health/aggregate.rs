//! Decides the status of the whole service and of its groups from the states of the checks.
//!
//! The worst check decides. A critical check that is unhealthy makes the whole unhealthy; every other check that is not
//! healthy makes the whole degraded. Each verdict names the check that decided it.

use std::{cmp::Reverse, time::Duration};

use super::{CheckKind, CheckReport, CheckState, HealthStatus, ReadinessState};

/// A status, and the check that decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: HealthStatus,
    pub(super) decided_by: Option<String>,
    pub(super) message: String,
}

impl Verdict {
    fn healthy() -> Self {
        Self {
            status: HealthStatus::Healthy,
            decided_by: None,
            message: String::new(),
        }
    }

    fn by(status: HealthStatus, name: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            decided_by: Some(name.to_owned()),
            message: message.into(),
        }
    }
}

/// Returns the verdict on the whole service.
pub(super) fn whole(checks: &[CheckReport]) -> Verdict {
    worst(checks, |check| match check.status {
        CheckState::Healthy => HealthStatus::Healthy,
        CheckState::Unhealthy if check.critical => HealthStatus::Unhealthy,
        CheckState::Pending | CheckState::Degraded | CheckState::Unhealthy => {
            HealthStatus::Degraded
        }
    })
}

/// Returns the verdict on a group of the application, in which every member is critical.
pub(super) fn group(checks: &[CheckReport]) -> Verdict {
    worst(checks, |check| {
        check.status.status().unwrap_or(HealthStatus::Degraded)
    })
}

/// Returns whether a check counts for readiness. Built-in checks and the watchdog do not: load would take all replicas
/// out of service, one after another.
pub(super) fn counts_for_readiness(check: &CheckReport) -> bool {
    check.critical && matches!(check.kind, CheckKind::Check | CheckKind::Dependency)
}

/// Returns the verdict on readiness: the latch, and the checks that count for it.
pub(super) fn ready(latch: ReadinessState, checks: &[CheckReport]) -> Verdict {
    let message = match latch {
        ReadinessState::Ready => {
            return worst(checks, |check| {
                check.status.status().unwrap_or(HealthStatus::Unhealthy)
            });
        }
        ReadinessState::Starting => "the application has not declared itself ready",
        ReadinessState::ShuttingDown => "the application shuts down",
    };
    Verdict::by(HealthStatus::Unhealthy, "readiness", message)
}

/// Returns the verdict on start-up: the application has declared itself ready once, and each check that counts for
/// readiness has a result. A failed dependency does not count: a restart of this service would not repair it.
pub(super) fn startup(latch: ReadinessState, checks: &[CheckReport]) -> Verdict {
    if latch == ReadinessState::Starting {
        return ready(latch, checks);
    }
    worst(checks, |check| match check.status {
        CheckState::Pending => HealthStatus::Unhealthy,
        CheckState::Healthy | CheckState::Degraded | CheckState::Unhealthy => HealthStatus::Healthy,
    })
}

/// Returns the verdict on liveness: unhealthy if all workers of the application's runtime have stood still for
/// `live_after`.
pub(super) fn live(all_still_for: Option<Duration>, live_after: Option<Duration>) -> Verdict {
    match (all_still_for, live_after) {
        (Some(still), Some(limit)) if still >= limit => {
            let seconds = still.as_secs();
            let message = format!("all workers of the runtime have stood still for {seconds} s");
            Verdict::by(HealthStatus::Unhealthy, super::options::RUNTIME, message)
        }
        _ => Verdict::healthy(),
    }
}

/// Returns the worst status that `status` gives to a check, and the check that decided it: the check in the worst state
/// that has been in it for the longest time. For a check that could not run because the runtime is blocked, the watchdog
/// of the runtime is the deciding member.
fn worst(checks: &[CheckReport], status: impl Fn(&CheckReport) -> HealthStatus) -> Verdict {
    let order = |check: &CheckReport| (status(check), check.status, Reverse(check.since));
    // The first of equals, in the order of names.
    let Some(worst) = checks.iter().rev().max_by_key(|check| order(check)) else {
        return Verdict::healthy();
    };
    if status(worst) == HealthStatus::Healthy {
        return Verdict::healthy();
    }
    let watchdog = checks
        .iter()
        .find(|check| check.kind == CheckKind::Watchdog && check.status != CheckState::Healthy);
    let decider = watchdog.filter(|_| worst.is_not_run).unwrap_or(worst);
    Verdict::by(status(worst), &decider.name, decider.message.as_str())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::SystemTime};

    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, kind: CheckKind, critical: bool, status: CheckState) -> CheckReport {
        CheckReport {
            name: name.to_owned(),
            kind,
            critical,
            status,
            message: format!("{name} is {}", status.as_str()),
            data: BTreeMap::new(),
            since: SystemTime::UNIX_EPOCH,
            age: None,
            duration: None,
            last_success: None,
            consecutive_failures: 0,
            stale: false,
            is_not_run: false,
        }
    }

    fn critical(status: CheckState) -> CheckReport {
        check("database", CheckKind::Check, true, status)
    }

    fn dependency(status: CheckState) -> CheckReport {
        check("search", CheckKind::Dependency, false, status)
    }

    fn built_in(status: CheckState) -> CheckReport {
        check("disk", CheckKind::BuiltIn, false, status)
    }

    #[test]
    fn the_whole_follows_this_table() {
        use CheckState::{Degraded, Healthy, Pending, Unhealthy};
        // The states of a critical check, a dependency and a built-in check; the whole; the deciding member.
        let rows = [
            (Healthy, Healthy, Healthy, HealthStatus::Healthy, None),
            (
                Unhealthy,
                Healthy,
                Healthy,
                HealthStatus::Unhealthy,
                Some("database"),
            ),
            (
                Degraded,
                Healthy,
                Healthy,
                HealthStatus::Degraded,
                Some("database"),
            ),
            (
                Pending,
                Healthy,
                Healthy,
                HealthStatus::Degraded,
                Some("database"),
            ),
            (
                Healthy,
                Unhealthy,
                Healthy,
                HealthStatus::Degraded,
                Some("search"),
            ),
            (
                Healthy,
                Degraded,
                Healthy,
                HealthStatus::Degraded,
                Some("search"),
            ),
            (
                Healthy,
                Pending,
                Healthy,
                HealthStatus::Degraded,
                Some("search"),
            ),
            (
                Healthy,
                Healthy,
                Unhealthy,
                HealthStatus::Degraded,
                Some("disk"),
            ),
            (
                Healthy,
                Healthy,
                Degraded,
                HealthStatus::Degraded,
                Some("disk"),
            ),
            (
                Unhealthy,
                Unhealthy,
                Unhealthy,
                HealthStatus::Unhealthy,
                Some("database"),
            ),
            (
                Degraded,
                Unhealthy,
                Degraded,
                HealthStatus::Degraded,
                Some("search"),
            ),
            (
                Pending,
                Degraded,
                Healthy,
                HealthStatus::Degraded,
                Some("search"),
            ),
        ];
        for (first, second, third, status, decided_by) in rows {
            let checks = [critical(first), dependency(second), built_in(third)];
            let verdict = whole(&checks);
            assert_eq!(
                (verdict.status, verdict.decided_by.as_deref()),
                (status, decided_by),
                "{first:?} {second:?} {third:?}"
            );
            if let Some(name) = decided_by {
                assert!(verdict.message.starts_with(name), "{verdict:?}");
            }
        }
        assert_eq!(whole(&[]), Verdict::healthy());
    }

    #[test]
    fn readiness_is_the_latch_and_the_critical_checks() {
        use CheckState::{Degraded, Healthy, Pending, Unhealthy};
        for (state, status) in [
            (Healthy, HealthStatus::Healthy),
            (Pending, HealthStatus::Unhealthy),
            (Degraded, HealthStatus::Degraded),
            (Unhealthy, HealthStatus::Unhealthy),
        ] {
            let of = |latch| ready(latch, &[critical(state)]).status;
            assert_eq!(of(ReadinessState::Ready), status, "{state:?}");
            for latch in [ReadinessState::Starting, ReadinessState::ShuttingDown] {
                assert_eq!(of(latch), HealthStatus::Unhealthy);
            }
        }
        let down = ready(ReadinessState::ShuttingDown, &[critical(Unhealthy)]);
        assert_eq!(down.decided_by.as_deref(), Some("readiness"));
        assert!(counts_for_readiness(&critical(Healthy)));
        assert!(!counts_for_readiness(&dependency(Healthy)));
        let critical_built_in = check("disk", CheckKind::BuiltIn, true, Unhealthy);
        assert!(!counts_for_readiness(&critical_built_in));
        let watchdog = check("runtime", CheckKind::Watchdog, true, Unhealthy);
        assert!(!counts_for_readiness(&watchdog));
    }

    #[test]
    fn start_up_ends_with_the_latch_and_the_first_results() {
        use CheckState::{Degraded, Healthy, Pending, Unhealthy};
        let of = |latch, state| startup(latch, &[critical(state)]).status;
        assert_eq!(
            of(ReadinessState::Starting, Healthy),
            HealthStatus::Unhealthy
        );
        assert_eq!(of(ReadinessState::Ready, Pending), HealthStatus::Unhealthy);
        for state in [Healthy, Degraded, Unhealthy] {
            assert_eq!(of(ReadinessState::Ready, state), HealthStatus::Healthy);
            assert_eq!(
                of(ReadinessState::ShuttingDown, state),
                HealthStatus::Healthy
            );
        }
    }

    #[test]
    fn liveness_fails_only_after_all_workers_stood_still_for_the_limit() {
        let at = Duration::from_secs;
        for (still, limit, status) in [
            (None, Some(at(60)), HealthStatus::Healthy),
            (Some(at(59)), Some(at(60)), HealthStatus::Healthy),
            (Some(at(60)), Some(at(60)), HealthStatus::Unhealthy),
            (Some(at(9_999)), None, HealthStatus::Healthy),
        ] {
            assert_eq!(live(still, limit).status, status);
        }
    }

    #[test]
    fn every_member_of_a_group_is_critical() {
        let of = |state| group(&[dependency(state), built_in(CheckState::Healthy)]).status;
        assert_eq!(of(CheckState::Unhealthy), HealthStatus::Unhealthy);
        assert_eq!(of(CheckState::Degraded), HealthStatus::Degraded);
        assert_eq!(of(CheckState::Pending), HealthStatus::Degraded);
        assert_eq!(of(CheckState::Healthy), HealthStatus::Healthy);
    }

    #[test]
    fn the_watchdog_decides_where_the_runtime_keeps_checks_from_running() {
        let mut stale = critical(CheckState::Unhealthy);
        stale.is_not_run = true;
        let watchdog = check("runtime", CheckKind::Watchdog, false, CheckState::Degraded);
        let verdict = whole(&[stale.clone(), watchdog.clone()]);
        assert_eq!(verdict.status, HealthStatus::Unhealthy);
        assert_eq!(verdict.decided_by.as_deref(), Some("runtime"));
        stale.is_not_run = false;
        let verdict = whole(&[stale, watchdog]);
        assert_eq!(verdict.decided_by.as_deref(), Some("database"));
    }

    #[test]
    fn of_equally_bad_checks_the_first_to_fail_decides() {
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let mut first = critical(CheckState::Unhealthy);
        first.since = later;
        let mut second = critical(CheckState::Unhealthy);
        second.name = "queue".to_owned();
        assert_eq!(whole(&[first, second]).decided_by.as_deref(), Some("queue"));
    }

    fn any_check() -> impl Strategy<Value = CheckReport> {
        (
            0..CheckKind::ALL.len(),
            any::<bool>(),
            0..CheckState::ALL.len(),
            any::<bool>(),
        )
            .prop_map(|(kind, critical, state, is_not_run)| {
                let (kind, state) = (CheckKind::ALL[kind], CheckState::ALL[state]);
                let mut check = check("any", kind, critical, state);
                check.is_not_run = is_not_run;
                check
            })
    }

    proptest! {
        #[test]
        fn a_worse_check_never_improves_the_whole_or_its_group(
            checks in prop::collection::vec(any_check(), 1..8),
            which in any::<prop::sample::Index>(),
            state in 0..CheckState::ALL.len(),
            becomes_critical: bool,
        ) {
            let mut worse = checks.clone();
            let changed = which.get_mut(&mut worse);
            changed.status = changed.status.max(CheckState::ALL[state]);
            changed.critical |= becomes_critical;
            prop_assert!(whole(&worse).status >= whole(&checks).status);
            prop_assert!(group(&worse).status >= group(&checks).status);
            prop_assert_eq!(whole(&worse).decided_by.is_none(), whole(&worse).status == HealthStatus::Healthy);
        }

        #[test]
        fn a_worse_result_never_improves_readiness(
            checks in prop::collection::vec(any_check(), 1..8),
            which in any::<prop::sample::Index>(),
            status in 0..HealthStatus::ALL.len(),
        ) {
            let mut worse = checks.clone();
            let changed = which.get_mut(&mut worse);
            // A first result may improve readiness, so the check has a result before, too.
            prop_assume!(changed.status != CheckState::Pending);
            changed.status = changed.status.max(HealthStatus::ALL[status].into());
            let of = |checks: &[CheckReport]| ready(ReadinessState::Ready, checks).status;
            prop_assert!(of(&worse) >= of(&checks));
        }
    }
}
