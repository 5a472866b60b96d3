//! Renders a health report in its three forms.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Service;
use crate::health::{CheckKind, CheckReport, CheckState, HealthReport, HealthStatus};

/// Removes the checks and the reasons from a report; the status stays.
pub(super) fn hide_details(report: &mut HealthReport) {
    report.checks.clear();
    report.decided_by = None;
    report.message.clear();
}

/// Returns the JSON of the replaced system (`status`, `checks`, `dependencies`), with the deciding member.
pub(super) fn json(report: &HealthReport, service: &Service<'_>, has_details: bool) -> String {
    let mut body = json!({
        "status": report.status,
        "service": service.name,
        "uptime_seconds": service.uptime_seconds,
    });
    if let Some(group) = &report.group {
        body["group"] = group.as_str().into();
    }
    if has_details {
        let of = |is_dependency: bool| -> Map<String, Value> {
            let checks = report.checks.iter();
            checks
                .filter(|check| (check.kind == CheckKind::Dependency) == is_dependency)
                .map(|check| (check.name.clone(), member(check)))
                .collect()
        };
        let counts: Map<String, Value> = CheckState::ALL
            .into_iter()
            .map(|state| {
                let count = report
                    .checks
                    .iter()
                    .filter(|check| check.status == state)
                    .count();
                (state.as_str().to_owned(), count.into())
            })
            .collect();
        body["decided_by"] = report.decided_by.clone().into();
        body["message"] = report.message.as_str().into();
        body["counts"] = counts.into();
        body["checks"] = of(false).into();
        body["dependencies"] = of(true).into();
    }
    pretty(&body)
}

/// Returns a check without its name, which is the key of the map.
fn member(check: &CheckReport) -> Value {
    // Strings, numbers and maps always serialise.
    let mut member = serde_json::to_value(check).unwrap_or_default();
    if let Some(member) = member.as_object_mut() {
        member.remove("name");
    }
    member
}

/// Returns the form of draft-inadarei-api-health-check-06.
pub(super) fn health_json(
    report: &HealthReport,
    service: &Service<'_>,
    has_details: bool,
) -> String {
    let status = match report.status {
        HealthStatus::Healthy => "pass",
        HealthStatus::Degraded => "warn",
        HealthStatus::Unhealthy => "fail",
    };
    let mut body = json!({ "status": status, "serviceId": service.name });
    if !has_details {
        return pretty(&body);
    }
    if let Some(name) = &report.decided_by {
        // The draft: `output` is raw error output, omitted for "pass".
        body["output"] = format!("{name}: {}", report.message).into();
    }
    let uptime = json!([{
        "observedValue": service.uptime_seconds, "observedUnit": "s", "status": "pass",
    }]);
    let mut checks = Map::new();
    checks.insert("uptime".to_owned(), uptime);
    for check in &report.checks {
        checks.insert(check.name.clone(), json!([health_member(check)]));
    }
    body["checks"] = checks.into();
    pretty(&body)
}

fn health_member(check: &CheckReport) -> Value {
    let status = match check.status {
        CheckState::Healthy => "pass",
        CheckState::Pending | CheckState::Degraded => "warn",
        CheckState::Unhealthy => "fail",
    };
    // The draft: a type of component, or a string of the service's own.
    let component = match check.kind {
        CheckKind::BuiltIn | CheckKind::Watchdog => "system",
        CheckKind::Check | CheckKind::Dependency => "component",
    };
    let mut member = json!({ "componentType": component, "status": status });
    let all = self::member(check);
    for (key, value) in [
        ("time", &all["since"]),
        ("observedValue", &all["duration_seconds"]),
    ] {
        if !value.is_null() {
            member[key] = value.clone();
        }
    }
    if !all["duration_seconds"].is_null() {
        member["observedUnit"] = "s".into();
    }
    if status != "pass" {
        member["output"] = check.message.as_str().into();
    }
    member
}

/// Returns a line for the whole, and a line per check.
pub(super) fn text(report: &HealthReport) -> String {
    let mut text = report.status.as_str().to_owned();
    if let Some(name) = &report.decided_by {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {name}: {}", one_line(&report.message));
    }
    text.push('\n');
    for check in &report.checks {
        let sign = match check.status {
            CheckState::Healthy => '+',
            CheckState::Pending | CheckState::Degraded => '!',
            CheckState::Unhealthy => '-',
        };
        let age = check
            .age
            .map_or_else(String::new, |age| format!(", {} s ago", age.as_secs()));
        let (name, state) = (&check.name, check.status.as_str());
        let _ = writeln!(
            text,
            "[{sign}] {name} {state}: {}{age}",
            one_line(&check.message)
        );
    }
    text
}

fn one_line(message: &str) -> String {
    message.replace(['\r', '\n'], " ")
}

fn pretty(value: &Value) -> String {
    // Strings, numbers and maps always serialise.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
