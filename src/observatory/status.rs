//! The status of an observatory, as `/status` shows it.

use std::{net::SocketAddr, time::SystemTime};

use serde::Serialize;

use super::{ComponentStatus, Core, component_status::component_states, problems::problems};
use crate::metrics::catalog;
use crate::runtime::clock::ClockSteps;

/// The status of an observatory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// `service.name`.
    pub service: String,
    /// The preset, if one was selected.
    pub environment: Option<String>,
    /// Version of llm-observatory.
    pub version: &'static str,
    /// True if anything is observed.
    pub enabled: bool,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Seconds from the Unix epoch to the start.
    pub started_unix_seconds: u64,
    /// The address of the server.
    pub listen: Option<String>,
    /// The state of each component: true if it runs.
    pub components: Components,
    /// The state of each component, with the reason if the component does not run without restriction.
    pub component_states: Vec<ComponentStatus>,
    /// Metrics that have series.
    pub metrics: usize,
    /// Series of all metrics.
    pub series: usize,
    /// The number of observations.
    pub observations: u64,
    /// Observations, or parts of observations, that were dropped.
    pub dropped_observations: u64,
    /// Requests that the server refused, for example because queries held all of their memory.
    pub refused_requests: u64,
    /// Connections that the server closed before their time, for example because the client did not read.
    pub closed_connections: u64,
    /// Degradations, and set-ups that look healthy but measure nothing, each with the next step.
    pub problems: Vec<String>,
    /// The state of each exporter of traces; empty if traces are off.
    #[cfg(feature = "otlp")]
    pub exporters: Vec<crate::traces::ExporterStatus>,
    /// The health of the service, without its healthy checks.
    #[cfg(feature = "health")]
    pub health: HealthSummary,
    /// The steps of the wall clock.
    pub clock: ClockStatus,
    /// Numbers of rules, alerts and notifications.
    #[cfg(feature = "alerting")]
    pub alerts: crate::alerting::AlertsStatus,
}

/// The health of the service.
#[cfg(feature = "health")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HealthSummary {
    /// The status.
    pub status: crate::health::HealthStatus,
    /// The check that decided the status; `None` if it is healthy.
    pub decided_by: Option<String>,
    /// The message of that check.
    pub message: String,
    /// The number of checks.
    pub checks: usize,
    /// The names of the checks that are not healthy.
    pub not_healthy: Vec<String>,
}

#[cfg(feature = "health")]
impl HealthSummary {
    /// Removes the names of checks and the reasons; the status stays.
    #[cfg(feature = "server")]
    pub(super) fn hide_details(&mut self) {
        self.decided_by = None;
        self.message.clear();
        self.not_healthy.clear();
    }
}

#[cfg(feature = "health")]
impl From<crate::health::HealthReport> for HealthSummary {
    fn from(report: crate::health::HealthReport) -> Self {
        let checks = report.checks.len();
        let not_healthy = report.checks.into_iter();
        let not_healthy = not_healthy
            .filter(|check| check.status != crate::health::CheckState::Healthy)
            .map(|check| check.name);
        Self {
            status: report.status,
            decided_by: report.decided_by,
            message: report.message,
            checks,
            not_healthy: not_healthy.collect(),
        }
    }
}

/// The steps of the wall clock since the start: differences of at least half a second to the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClockStatus {
    /// The number of steps.
    pub steps: u64,
    /// The last step, negative if backwards; 0 without a step.
    pub last_step_ms: i64,
    /// The time after the last step, in milliseconds since the epoch; 0 without a step.
    pub last_step_at_unix_ms: i64,
}

impl From<ClockSteps> for ClockStatus {
    fn from(steps: ClockSteps) -> Self {
        Self {
            steps: steps.count,
            last_step_ms: steps.last_ms,
            last_step_at_unix_ms: steps.last_at_ms,
        }
    }
}

/// The state of each component: true if it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
#[non_exhaustive]
pub struct Components {
    /// True if the threads run.
    pub running: bool,
    /// The server.
    pub prometheus: bool,
    /// The sampler of process and machine, and the health checks.
    pub health: bool,
    /// Alert rules.
    pub alerting: bool,
    /// Traces.
    pub traces: bool,
}

impl Core {
    /// Returns the status. The caller passes whether the threads run and the address of the server.
    pub(super) fn status(&self, is_running: bool, listen: Option<SocketAddr>) -> Status {
        let families = self.gatherer.registry.families();
        let counted = |name| self.gatherer.registry.counter_total(name);
        let service = &self.config.service;
        let mut status = Status {
            service: service.name.clone(),
            environment: service.environment.clone(),
            version: env!("CARGO_PKG_VERSION"),
            enabled: self.is_on,
            uptime_seconds: self.gatherer.uptime().as_secs(),
            started_unix_seconds: self
                .gatherer
                .started()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            listen: listen.map(|address| address.to_string()),
            components: Components {
                running: is_running,
                prometheus: is_running
                    && cfg!(feature = "server")
                    && self.config.prometheus.enabled,
                health: is_running && cfg!(feature = "health") && self.config.health.enabled,
                #[cfg(feature = "alerting")]
                alerting: is_running && self.alerting.is_on(),
                #[cfg(not(feature = "alerting"))]
                alerting: false,
                #[cfg(feature = "otlp")]
                traces: is_running && self.traces.is_some(),
                #[cfg(not(feature = "otlp"))]
                traces: false,
            },
            component_states: Vec::new(),
            metrics: families.iter().filter(|family| family.len() > 0).count(),
            series: families.iter().map(|family| family.len()).sum(),
            observations: counted("observatory_observations_total"),
            dropped_observations: counted("observatory_dropped_observations_total"),
            refused_requests: counted(catalog::SERVER_REFUSED.name),
            closed_connections: counted(catalog::SERVER_CLOSED.name),
            problems: Vec::new(),
            #[cfg(feature = "otlp")]
            exporters: self
                .traces
                .as_ref()
                .map_or_else(Vec::new, |traces| traces.exporters()),
            #[cfg(feature = "health")]
            health: self.health.report().into(),
            clock: self.gatherer.clock.steps().into(),
            #[cfg(feature = "alerting")]
            alerts: self.alerting.status(),
        };
        status.problems = problems(self, &status);
        status.component_states = component_states(self, &status);
        status
    }
}
