//! Lists the degradations of an observatory as short texts, each with its next step.

use super::{Core, Status};
use crate::metrics::catalog;

/// Returns the degradations that the status shows.
pub(super) fn problems(core: &Core, status: &Status) -> Vec<String> {
    let mut problems: Vec<String> = core.filter_check.problem().into_iter().collect();
    #[cfg(feature = "otlp")]
    {
        let conflict = core.traces.as_ref().and_then(|traces| traces.conflict());
        problems.extend(conflict.map(str::to_owned));
    }
    #[cfg(feature = "alerting")]
    problems.extend(of_alerting(status));
    #[cfg(feature = "alerting")]
    problems.extend(core.alerting.unknown_metric_problems());
    #[cfg(feature = "otlp")]
    problems.extend(of_exporters(status));
    let overflowed = core
        .gatherer
        .registry
        .counter_total(catalog::SERIES_OVERFLOWED.name);
    let counts = [
        (
            status.dropped_observations,
            "observations, or parts of them, were dropped; observatory_dropped_observations_total counts them by reason, and \
             the log names the first of each reason",
        ),
        (
            overflowed,
            "times a metric was at its limit of series; observatory_series_overflowed_total names the metric: leave out labels \
             with many values, or raise prometheus.series_limit (OBSERVATORY_SERIES_LIMIT)",
        ),
        (
            status.refused_requests,
            "requests were refused by the server; observatory_server_refused_requests_total counts them by reason, and the log \
             names the first of each reason",
        ),
        (
            status.closed_connections,
            "connections were closed by the server before their time; observatory_server_closed_connections_total counts them by \
             reason: look for clients that do not read or do not send",
        ),
        (
            status.clock.steps,
            "steps of the wall clock; check the time synchronisation unless the machine was suspended",
        ),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    problems.extend(counts.map(|(count, text)| format!("{count} {text}")));
    problems
}

#[cfg(feature = "alerting")]
pub(super) fn of_alerting(status: &Status) -> Vec<String> {
    let alerts = &status.alerts;
    let mut problems = Vec::new();
    if let Some(problem) = &alerts.store_problem {
        problems.push(format!(
            "alert state is in memory only, and a restart loses it: {problem}; make the directory writable, or set \
             alerting.data_dir (OBSERVATORY_DATA_DIR) to another directory"
        ));
    }
    if !alerts.hanging_channels.is_empty() {
        problems.push(format!(
            "notifiers of the application have not returned after their time limit: {}; they must not block",
            alerts.hanging_channels.join(", ")
        ));
    }
    if alerts.failing_rules > 0 {
        problems.push(format!(
            "{} rules failed at their last evaluation; lastError in /api/v1/rules has the reasons",
            alerts.failing_rules
        ));
    }
    problems
}

#[cfg(feature = "otlp")]
pub(super) fn of_exporters(status: &Status) -> impl Iterator<Item = String> + use<'_> {
    let exporters = status.exporters.iter();
    exporters.filter_map(|exporter| {
        let lost = exporter.dropped + exporter.failed;
        let failure = exporter.last_failure.as_ref();
        let failure = failure.map_or("no failure was reported", |failure| &failure.reason);
        (lost > 0).then(|| {
            format!(
                "the exporter {} has lost {lost} spans; check that {} accepts them (last failure: {failure})",
                exporter.exporter, exporter.address
            )
        })
    })
}
