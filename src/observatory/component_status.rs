//! Judges the state of each component, with the reason.

use serde::Serialize;

use super::{Core, Status};

/// The state of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComponentState {
    /// The component runs.
    Running,
    /// The component is off: by the configuration, by a missing feature, or because the observatory does not run.
    Off,
    /// The component runs with a restriction, which the reason names.
    Degraded,
}

/// The state of a component, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ComponentStatus {
    /// `metrics`, `traces`, `health`, `alerting`, `server` or `profiler`.
    pub name: &'static str,
    /// The state.
    pub state: ComponentState,
    /// The reason of a state that is not [`ComponentState::Running`], with the key or the feature that changes the state.
    pub reason: Option<String>,
}

/// The facts that decide the state of a component.
struct Facts {
    name: &'static str,
    /// The feature that contains the component; `None` if it is in every build.
    missing_feature: Option<&'static str>,
    /// The key that switches the component.
    key: &'static str,
    is_configured: bool,
    /// True if the component needs the threads of the observatory.
    needs_threads: bool,
    restriction: Option<String>,
}

/// Returns the state of each component. `status` is complete except for the states.
pub(super) fn component_states(core: &Core, status: &Status) -> Vec<ComponentStatus> {
    let config = &core.config;
    let missing = |is_compiled: bool, feature| (!is_compiled).then_some(feature);
    let facts = [
        Facts {
            name: "metrics",
            missing_feature: None,
            key: "enabled",
            is_configured: config.enabled,
            needs_threads: false,
            restriction: None,
        },
        Facts {
            name: "traces",
            missing_feature: missing(cfg!(feature = "otlp"), "otlp"),
            key: "traces.enabled",
            is_configured: config.traces.enabled,
            needs_threads: true,
            #[cfg(feature = "otlp")]
            restriction: super::problems::of_exporters(status).next(),
            #[cfg(not(feature = "otlp"))]
            restriction: None,
        },
        Facts {
            name: "health",
            missing_feature: missing(cfg!(feature = "health"), "health"),
            key: "health.enabled",
            is_configured: config.health.enabled,
            needs_threads: true,
            restriction: None,
        },
        Facts {
            name: "alerting",
            missing_feature: missing(cfg!(feature = "alerting"), "alerting"),
            key: "alerting.enabled",
            #[cfg(feature = "alerting")]
            is_configured: core.alerting.is_on(),
            #[cfg(not(feature = "alerting"))]
            is_configured: false,
            needs_threads: true,
            #[cfg(feature = "alerting")]
            restriction: super::problems::of_alerting(status).into_iter().next(),
            #[cfg(not(feature = "alerting"))]
            restriction: None,
        },
        Facts {
            name: "server",
            missing_feature: missing(cfg!(feature = "server"), "server"),
            key: "prometheus.enabled",
            is_configured: config.prometheus.enabled,
            needs_threads: true,
            restriction: None,
        },
        Facts {
            name: "profiler",
            missing_feature: missing(cfg!(feature = "profiling"), "profiling"),
            key: "profiler.enabled",
            is_configured: config.profiler.enabled,
            needs_threads: false,
            restriction: None,
        },
    ];
    let is_running = status.components.running;
    let judged = facts.map(|facts| judge(facts, status.enabled, is_running));
    judged.into()
}

/// Judges a component. A missing feature comes first, since no configuration helps then.
fn judge(facts: Facts, is_enabled: bool, is_running: bool) -> ComponentStatus {
    let off = if let Some(feature) = facts.missing_feature {
        Some(format!(
            "the feature `{feature}` of llm-observatory is not compiled in"
        ))
    } else if !is_enabled {
        Some("the observatory is off (enabled is false)".to_owned())
    } else if !facts.is_configured {
        Some(format!("{} is false", facts.key))
    } else if facts.needs_threads && !is_running {
        Some("the observatory is not started, or has stopped".to_owned())
    } else {
        None
    };
    let (state, reason) = match (off, facts.restriction) {
        (Some(reason), _) => (ComponentState::Off, Some(reason)),
        (None, Some(restriction)) => (ComponentState::Degraded, Some(restriction)),
        (None, None) => (ComponentState::Running, None),
    };
    ComponentStatus {
        name: facts.name,
        state,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            name: "traces",
            missing_feature: None,
            key: "traces.enabled",
            is_configured: true,
            needs_threads: true,
            restriction: None,
        }
    }

    #[test]
    fn each_state_has_its_reason() {
        use ComponentState::{Degraded, Off, Running};
        let check = |facts, enabled, running, state, reason: Option<&str>| {
            let judged = judge(facts, enabled, running);
            assert_eq!((judged.state, judged.reason.as_deref()), (state, reason));
        };
        check(facts(), true, true, Running, None);
        let stopped = "the observatory is not started, or has stopped";
        check(facts(), true, false, Off, Some(stopped));
        let without_threads = Facts {
            needs_threads: false,
            ..facts()
        };
        check(without_threads, true, false, Running, None);
        let off = "the observatory is off (enabled is false)";
        check(facts(), false, false, Off, Some(off));
        let switched_off = Facts {
            is_configured: false,
            restriction: Some("refused".to_owned()),
            ..facts()
        };
        check(
            switched_off,
            true,
            true,
            Off,
            Some("traces.enabled is false"),
        );
        let missing = Facts {
            missing_feature: Some("otlp"),
            is_configured: false,
            ..facts()
        };
        let reason = "the feature `otlp` of llm-observatory is not compiled in";
        check(missing, true, true, Off, Some(reason));
        let refused = Facts {
            restriction: Some("refused".to_owned()),
            ..facts()
        };
        check(refused, true, true, Degraded, Some("refused"));
    }
}
