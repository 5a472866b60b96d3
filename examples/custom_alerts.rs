//! Alert rules from code: `PromQL`, a closure, an event, and an alert without a rule.
//!
//! `cargo run --example custom_alerts` runs for a minute; alerts go to standard error, 30 s after the first of a group.
use std::{thread::sleep, time::Duration};

use llm_observatory::{
    Config, Observatory,
    alerting::{AlertRule, Severity},
};
use tracing::{info, info_span, warn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load()?
        .with_rule(
            // PromQL: each element of the result is an alert, with its labels.
            AlertRule::new("slow_model")
                .expr("histogram_quantile(0.95, sum by (le, model_id) (rate(llm_router_model_inference_duration_seconds_bucket[1m]))) > 0.05")
                .hold_for(Duration::from_secs(10))
                .severity(Severity::Warning)
                .annotation("summary", "{{ $labels.model_id }}: {{ $value | humanizeDuration }}"),
        )
        .with_rule(
            // A closure that runs at each evaluation, for conditions that PromQL does not express.
            AlertRule::new("daily_limit")
                .when(|metrics| metrics.value("llm_router_tokens_generated_total") > 100.0)
                .severity(Severity::Critical),
        );
    let observatory = Observatory::install(config)?;

    // An event with `alert.rule` raises an alert; `alert.resolve` resolves it.
    warn!(
        alert.rule = "cache_cold",
        "the cache is empty after the start"
    );
    // Code raises and resolves alerts, too.
    let alerts = observatory.alerts();
    alerts.trigger(
        "maintenance",
        Severity::Info,
        "models are being updated",
        &[],
    )?;

    for _ in 0..600 {
        info_span!(
            "inference",
            model_id = "slow-1",
            engine = "vllm",
            tokens = 10
        )
        .in_scope(|| sleep(Duration::from_millis(100)));
    }
    info!(alert.resolve = "cache_cold");
    alerts.resolve("maintenance", &[]);
    observatory.shutdown_blocking();
    Ok(())
}
