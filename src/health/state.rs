//! Turns the outcomes of a check's runs into the state of the check.
//!
//! A failed run makes a check unhealthy once the failure threshold is reached; until then, the check keeps its state. A
//! result expires: a check whose results are not renewed is unhealthy, whatever its last result was. A run that could not
//! take place (the application's runtime is blocked) is no result, since it tells nothing about the checked service.

use std::{collections::BTreeMap, time::Duration};

use super::{CheckResult, CheckState, HealthStatus, plan::Plan};
use crate::observation::AttributeValue;

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RunOutcome {
    Done(CheckResult),
    /// The run did not take place, for this reason.
    NotRun(String),
}

/// The outcomes of a check's runs. All times are readings of the monotonic clock.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    /// The time from which a first result is expected.
    awaited_from: Duration,
    shown: Option<Shown>,
    last: Option<LastRun>,
    last_success: Option<Duration>,
    /// Failed runs in a row.
    failures: u32,
    /// The reason for which the last run did not take place.
    not_run: Option<String>,
}

/// The status that the check has until its result expires.
#[derive(Clone, Debug)]
struct Shown {
    status: HealthStatus,
    since: Duration,
}

#[derive(Clone, Debug)]
struct LastRun {
    result: CheckResult,
    ended: Duration,
    duration: Duration,
}

/// The state of a check at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StateView {
    pub(super) state: CheckState,
    pub(super) message: String,
    pub(super) data: BTreeMap<String, AttributeValue>,
    pub(super) since: Duration,
    pub(super) last_run: Option<Duration>,
    pub(super) duration: Option<Duration>,
    pub(super) last_success: Option<Duration>,
    pub(super) failures: u32,
    pub(super) is_stale: bool,
    pub(super) is_not_run: bool,
}

impl Runs {
    pub(super) fn new(awaited_from: Duration) -> Self {
        Self {
            awaited_from,
            shown: None,
            last: None,
            last_success: None,
            failures: 0,
            not_run: None,
        }
    }

    /// Expects a first result from `now` on, if there is no result yet.
    pub(super) fn await_from(&mut self, now: Duration) {
        if self.last.is_none() {
            self.awaited_from = now;
        }
    }

    /// Adds the outcome of a run that ended at `now`.
    pub(super) fn record(
        &mut self,
        outcome: RunOutcome,
        duration: Duration,
        plan: &Plan,
        now: Duration,
    ) {
        let result = match outcome {
            RunOutcome::Done(result) => result,
            RunOutcome::NotRun(reason) => {
                self.not_run = Some(reason);
                return;
            }
        };
        let before = self.view(plan, now).state;
        self.not_run = None;
        if result.status == HealthStatus::Unhealthy {
            self.failures = self.failures.saturating_add(1);
        } else {
            self.failures = 0;
            self.last_success = Some(now);
        }
        let is_below_threshold = (1..plan.failure_threshold).contains(&self.failures);
        if !is_below_threshold {
            let since = match &self.shown {
                Some(shown) if before == CheckState::from(result.status) => shown.since,
                _ => now,
            };
            self.shown = Some(Shown {
                status: result.status,
                since,
            });
        }
        self.last = Some(LastRun {
            result,
            ended: now,
            duration,
        });
    }

    /// Returns the state of the check at `now`.
    pub(super) fn view(&self, plan: &Plan, now: Duration) -> StateView {
        let expected_by = match &self.last {
            Some(last) => last.ended + plan.max_age(),
            None => self.awaited_from + plan.start_delay + plan.max_age(),
        };
        let is_stale = now >= expected_by;
        let (state, since) = match &self.shown {
            _ if is_stale => (CheckState::Unhealthy, expected_by),
            Some(shown) => (shown.status.into(), shown.since),
            None => (CheckState::Pending, self.awaited_from),
        };
        StateView {
            state,
            message: self.message(plan, is_stale, now),
            data: self
                .last
                .as_ref()
                .map_or_else(BTreeMap::new, |last| last.result.data.clone()),
            since,
            last_run: self.last.as_ref().map(|last| last.ended),
            duration: self.last.as_ref().map(|last| last.duration),
            last_success: self.last_success,
            failures: self.failures,
            is_stale,
            is_not_run: self.not_run.is_some(),
        }
    }

    fn message(&self, plan: &Plan, is_stale: bool, now: Duration) -> String {
        let not_run = self
            .not_run
            .as_ref()
            .map(|reason| format!("not run: {reason}"));
        let Some(last) = &self.last else {
            let waited = seconds(now.saturating_sub(self.awaited_from));
            return match (is_stale, not_run) {
                (false, None) => "no result yet".to_owned(),
                (false, Some(not_run)) => not_run,
                (true, None) => format!("stale: no result within {waited}"),
                (true, Some(not_run)) => format!("stale: no result within {waited}; {not_run}"),
            };
        };
        let age = seconds(now.saturating_sub(last.ended));
        let text = &last.result.message;
        let message = if (1..plan.failure_threshold).contains(&self.failures) {
            let (failures, threshold) = (self.failures, plan.failure_threshold);
            format!("{failures} of {threshold} runs failed: {text}")
        } else {
            text.clone()
        };
        match (is_stale, not_run) {
            (false, None) => message,
            (false, Some(not_run)) => format!("{not_run}; {age} ago: {message}"),
            (true, None) => format!("stale: no result for {age}; the last was: {message}"),
            (true, Some(not_run)) => format!("stale: no result for {age}; {not_run}"),
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::plan::tests::plan;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    fn done(status: HealthStatus, message: &str) -> RunOutcome {
        RunOutcome::Done(CheckResult::new(status, message))
    }

    fn record(runs: &mut Runs, plan: &Plan, outcome: RunOutcome, at: u64) {
        runs.record(outcome, Duration::from_millis(3), plan, AT(at));
    }

    #[test]
    fn a_check_is_pending_until_its_first_result() {
        let (plan, mut runs) = (plan(), Runs::new(AT(100)));
        let view = runs.view(&plan, AT(101));
        assert_eq!((view.state, view.since), (CheckState::Pending, AT(100)));
        assert_eq!(view.message, "no result yet");
        record(&mut runs, &plan, done(HealthStatus::Healthy, "up"), 102);
        let view = runs.view(&plan, AT(103));
        assert_eq!((view.state, view.since), (CheckState::Healthy, AT(102)));
        assert_eq!(
            (view.last_run, view.last_success),
            (Some(AT(102)), Some(AT(102)))
        );
    }

    #[test]
    fn each_result_sets_its_state_and_the_state_keeps_its_beginning() {
        let (plan, mut runs) = (plan(), Runs::new(AT(0)));
        let steps = [
            (HealthStatus::Healthy, CheckState::Healthy, 10, 10),
            (HealthStatus::Healthy, CheckState::Healthy, 20, 10),
            (HealthStatus::Degraded, CheckState::Degraded, 30, 30),
            (HealthStatus::Unhealthy, CheckState::Unhealthy, 40, 40),
            (HealthStatus::Unhealthy, CheckState::Unhealthy, 50, 40),
            (HealthStatus::Healthy, CheckState::Healthy, 60, 60),
        ];
        for (status, state, at, since) in steps {
            record(&mut runs, &plan, done(status, ""), at);
            let view = runs.view(&plan, AT(at));
            assert_eq!((view.state, view.since), (state, AT(since)), "at {at}");
        }
        assert_eq!(runs.view(&plan, AT(60)).last_success, Some(AT(60)));
    }

    #[test]
    fn failed_runs_below_the_threshold_keep_the_state() {
        let plan = Plan {
            failure_threshold: 3,
            ..plan()
        };
        let mut runs = Runs::new(AT(0));
        let fails = |runs: &mut Runs, at| {
            record(runs, &plan, done(HealthStatus::Unhealthy, "refused"), at);
            runs.view(&plan, AT(at))
        };
        assert_eq!(fails(&mut runs, 1).state, CheckState::Pending);
        record(&mut runs, &plan, done(HealthStatus::Healthy, "up"), 10);
        assert_eq!(fails(&mut runs, 20).state, CheckState::Healthy);
        let view = fails(&mut runs, 30);
        assert_eq!(view.state, CheckState::Healthy);
        assert_eq!(view.message, "2 of 3 runs failed: refused");
        assert_eq!((view.failures, view.last_success), (2, Some(AT(10))));
        let view = fails(&mut runs, 40);
        assert_eq!((view.state, view.since), (CheckState::Unhealthy, AT(40)));
        assert_eq!(view.message, "refused");
        record(&mut runs, &plan, done(HealthStatus::Degraded, "slow"), 50);
        assert_eq!(runs.view(&plan, AT(50)).failures, 0);
        assert_eq!(fails(&mut runs, 60).state, CheckState::Degraded);
    }

    #[test]
    fn a_result_expires_to_unhealthy_and_a_new_result_renews_it() {
        let (plan, mut runs) = (plan(), Runs::new(AT(0)));
        record(&mut runs, &plan, done(HealthStatus::Healthy, "up"), 100);
        let just_before = AT(99) + plan.max_age();
        assert_eq!(runs.view(&plan, just_before).state, CheckState::Healthy);
        let view = runs.view(&plan, AT(100) + plan.max_age());
        assert!(view.is_stale && view.state == CheckState::Unhealthy);
        assert_eq!(view.since, AT(100) + plan.max_age());
        assert_eq!(view.message, "stale: no result for 48 s; the last was: up");
        record(&mut runs, &plan, done(HealthStatus::Healthy, "up"), 200);
        let view = runs.view(&plan, AT(201));
        assert_eq!((view.state, view.since), (CheckState::Healthy, AT(200)));
    }

    #[test]
    fn a_first_result_that_never_comes_makes_the_check_unhealthy() {
        let plan = Plan {
            start_delay: AT(60),
            ..plan()
        };
        let mut runs = Runs::new(AT(0));
        let last = AT(60) + plan.max_age();
        let just_before = AT(59) + plan.max_age();
        assert_eq!(runs.view(&plan, just_before).state, CheckState::Pending);
        let view = runs.view(&plan, last);
        assert_eq!(view.state, CheckState::Unhealthy);
        assert_eq!(view.message, "stale: no result within 108 s");
        runs.await_from(last);
        assert_eq!(runs.view(&plan, last).state, CheckState::Pending);
    }

    #[test]
    fn a_run_that_did_not_take_place_is_no_result() {
        let (plan, mut runs) = (plan(), Runs::new(AT(0)));
        let blocked = || RunOutcome::NotRun("the runtime is blocked".to_owned());
        record(&mut runs, &plan, blocked(), 5);
        let view = runs.view(&plan, AT(5));
        assert_eq!(view.state, CheckState::Pending);
        assert_eq!(view.message, "not run: the runtime is blocked");
        record(&mut runs, &plan, done(HealthStatus::Healthy, "up"), 10);
        record(&mut runs, &plan, blocked(), 30);
        let view = runs.view(&plan, AT(30));
        assert_eq!(view.state, CheckState::Healthy);
        assert_eq!(
            view.message,
            "not run: the runtime is blocked; 20 s ago: up"
        );
        let view = runs.view(&plan, AT(60));
        assert!(
            view.is_stale && view.is_not_run,
            "it does not renew the result"
        );
        assert_eq!(
            view.message,
            "stale: no result for 50 s; not run: the runtime is blocked"
        );
    }

    proptest! {
        #[test]
        fn a_result_that_is_never_renewed_turns_unhealthy(
            statuses in prop::collection::vec(0_usize..4, 0..8),
            threshold in 1_u32..4,
            later in 0_u64..100_000,
        ) {
            let plan = Plan { failure_threshold: threshold, ..plan() };
            let mut runs = Runs::new(AT(0));
            let mut now = AT(0);
            for status in statuses {
                now += AT(7);
                let outcome = match HealthStatus::ALL.get(status) {
                    Some(status) => done(*status, ""),
                    None => RunOutcome::NotRun(String::new()),
                };
                runs.record(outcome, Duration::ZERO, &plan, now);
            }
            let view = runs.view(&plan, now + plan.max_age() + AT(later));
            prop_assert_eq!(view.state, CheckState::Unhealthy);
        }
    }
}
