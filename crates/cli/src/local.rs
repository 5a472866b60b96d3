//! Commands that need no running service: they load the configuration as the service does.

use std::path::{Path, PathBuf};

use llm_observatory::{
    Config, LoadReport, Observatory,
    alerting::{self, TestResult, rule_test},
};
use serde_json::json;
use tracing_subscriber::Registry;

use crate::{Failure, Part, output};

/// The parts that only a start can check.
const NOT_CHECKED: &str = "\
Not checked: that the address of the server is free, that remote systems answer
(test-channel does that), and that the data directory can be written.";

fn report(file: Option<PathBuf>) -> LoadReport {
    match file {
        Some(file) => Config::load_report_from(file),
        None => Config::load_report(),
    }
}

/// Checks the configuration: its values, its rules and routes, its templates, certificates and channels.
pub(crate) fn check_config(file: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let report = report(file);
    let mut problems: Vec<(String, String)> = report
        .problems
        .iter()
        .map(|problem| (problem.origin.to_string(), problem.to_string()))
        .collect();
    if let Ok(config) = report.into_config()
        && let Err(error) = build(config)
    {
        problems.push(("build".to_owned(), error));
    }
    if json {
        let problems = problems
            .iter()
            .map(|(origin, problem)| json!({ "origin": origin, "problem": problem }));
        output::json(&json!({ "problems": problems.collect::<Vec<_>>() }));
    } else if problems.is_empty() {
        outln!(
            "{}\n{NOT_CHECKED}",
            output::coloured("The configuration is valid.", true)
        );
    } else {
        for (_, problem) in &problems {
            outln!("{}", output::coloured(problem, false));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check)
    }
}

/// Prints every value with its origin, also if the configuration is invalid.
pub(crate) fn print_config(file: Option<PathBuf>) -> Result<(), Failure> {
    let report = report(file);
    out!("{}", report.print());
    if report.problems.is_empty() {
        return Ok(());
    }
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    Err(Failure::Check)
}

/// Builds the observatory without starting it, and without touching the state of a running service.
fn build(mut config: Config) -> Result<Observatory, String> {
    config.auto_start = false;
    config.alerting.data_dir = None;
    let built = Observatory::builder(config).build::<Registry>();
    let (_, observatory) = built.map_err(|error| causes(&error))?;
    Ok(observatory)
}

/// Joins an error and its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn load() -> Result<Config, Failure> {
    Config::load().map_err(|error| Failure::Invalid(error.to_string()))
}

/// Runs rule tests in promtool's format.
pub(crate) fn test_rules(files: &[PathBuf]) -> Result<(), Failure> {
    let report = rule_test::run(files);
    out!("{report}");
    if report.is_passed() {
        Ok(())
    } else {
        Err(Failure::Check)
    }
}

/// Checks rule files.
pub(crate) fn check_rules(files: &[PathBuf]) -> Result<(), Failure> {
    let mut are_valid = true;
    for file in files {
        are_valid &= check_rule_file(file);
    }
    if are_valid {
        Ok(())
    } else {
        Err(Failure::Check)
    }
}

fn check_rule_file(file: &Path) -> bool {
    match alerting::load_rule_file(file) {
        Ok(groups) => {
            let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
            outln!("{}: {rules} rules found", file.display());
            true
        }
        Err(errors) => {
            outln!("{}", output::coloured(&errors.to_string(), false));
            false
        }
    }
}

/// Sends a test message through a channel.
pub(crate) async fn test_channel(name: &str) -> Result<(), Failure> {
    let observatory = build(load()?).map_err(Failure::Invalid)?;
    let results = observatory.alerts().send_test(name).await;
    let results = results.map_err(|error| Failure::Invalid(error.to_string()))?;
    print_results(&results)
}

/// Sends a test message to every step of the escalation of a rule.
pub(crate) async fn test_escalation(rule: &str) -> Result<(), Failure> {
    let observatory = build(load()?).map_err(Failure::Invalid)?;
    let alerts = observatory.alerts();
    let groups = alerts.rules();
    let mut rules = groups.iter().flat_map(|group| &group.rules);
    if !rules.any(|found| found.name == rule) {
        return Err(Failure::Invalid(format!("there is no rule {rule:?}")));
    }
    print_results(&alerts.test_escalation(rule).await)
}

fn print_results(results: &[TestResult]) -> Result<(), Failure> {
    let mut are_sent = true;
    for result in results {
        match &result.outcome {
            Ok(receipt) => outln!(
                "{}: {} {}",
                result.destination,
                output::coloured("accepted", true),
                receipt.answer
            ),
            Err(error) => {
                are_sent = false;
                outln!(
                    "{}: {} {error}",
                    result.destination,
                    output::coloured("failed", false)
                );
            }
        }
    }
    if results.is_empty() {
        return Err(Failure::Invalid("no channel would be notified".to_owned()));
    }
    if are_sent {
        Ok(())
    } else {
        Err(Failure::Check)
    }
}

/// Exports a part of the configuration.
pub(crate) fn export(part: Part) -> Result<(), Failure> {
    let build = || build(load()?).map_err(Failure::Invalid);
    let text = match part {
        Part::JsonSchema => {
            output::json(&Config::json_schema());
            return Ok(());
        }
        Part::CommentedFile => Config::commented_file(),
        Part::PrometheusRules => build()?.alerts().export_rules().yaml,
        Part::Alertmanager => {
            let exported = build()?.alerts().export_routing();
            exported.map_err(|error| Failure::Invalid(error.to_string()))?
        }
    };
    out!("{text}");
    Ok(())
}
