//! Follows the wall clock: reports its steps, and moves stored samples, alerts and deadlines with them.

use super::Core;
use crate::metrics::catalog;

/// Compares the wall clock with the monotonic clock, and applies a step of the wall clock.
pub(super) fn follow(core: &Core) {
    let clock = &core.gatherer.clock;
    let Some(by_ms) = clock.compare_wall() else {
        return;
    };
    #[cfg(feature = "alerting")]
    core.alerting.shift(by_ms, || clock.apply_step(by_ms));
    #[cfg(not(feature = "alerting"))]
    clock.apply_step(by_ms);
    let seconds = by_ms as f64 / 1e3;
    let registry = &core.gatherer.registry;
    registry.counter(&catalog::CLOCK_STEPS, &[]).add(1);
    registry.gauge(&catalog::CLOCK_LAST_STEP, &[]).set(seconds);
    tracing::warn!(
        target: "llm_observatory",
        "the wall clock stepped by {seconds:+.3} s; stored samples, alerts and their deadlines move with it, silences and \
         time intervals keep their wall time; check the time synchronisation unless the machine was suspended"
    );
}
