//! The command `llm-observatory`: checks configurations and alert rules before they reach production, and asks a running
//! observatory.
//!
//! Exit codes: 0 for success, 1 for a check that failed (an invalid configuration or rule, a failed test, an unhealthy
//! service), 2 for a wrong use of the command, 3 for a service that cannot be reached or that refuses the request.
#![allow(
    clippy::doc_markdown,
    reason = "the help shows doc comments as they are"
)]

#[macro_use]
mod output;
mod alerts;
mod local;
mod remote;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use self::remote::Service;

/// Checks configurations and alert rules, and asks a running observatory.
#[derive(Debug, Parser)]
#[command(name = "llm-observatory", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 a check failed; 2 wrong use; 3 the service cannot be
reached or refuses the request.

Variables: OBSERVATORY_URL is the address of the service, OBSERVATORY_TOKEN its
bearer token. The checks read the same variables as the service.";

/// A result that is not a success.
#[derive(Debug)]
enum Failure {
    /// A check failed; the reason is printed already.
    Check,
    /// A check failed for this reason.
    Invalid(String),
    /// The service cannot be reached, or refuses the request.
    Service(String),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Loads the configuration and reports every problem.
    CheckConfig {
        /// The configuration file, instead of OBSERVATORY_CONFIG.
        file: Option<PathBuf>,
    },
    /// Prints every value of the configuration with its origin.
    PrintConfig {
        /// The configuration file, instead of OBSERVATORY_CONFIG.
        file: Option<PathBuf>,
    },
    /// Runs rule tests in promtool's format.
    TestRules {
        /// The test files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Checks rule files in Prometheus's format.
    CheckRules {
        /// The rule files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Sends a test message through a channel of the configuration.
    TestChannel {
        /// The name of the channel.
        name: String,
    },
    /// Sends a test message to every step of an escalation.
    TestEscalation {
        /// The id of the rule.
        rule: String,
    },
    /// Exports a part of the configuration.
    Export {
        /// The exported part.
        part: Part,
    },
    /// Prints the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the status of the service.
    Status(Service),
    /// Prints the health; exits with 1 unless it is healthy.
    Health(Service),
    /// Evaluates a PromQL expression, at one time or over a range.
    Query {
        /// The expression.
        expression: String,
        /// Evaluates over this time until now, for example 1h.
        #[arg(long)]
        range: Option<String>,
        /// The distance of two times of the range.
        #[arg(long, default_value = "1m")]
        step: String,
        #[command(flatten)]
        service: Service,
    },
    /// Lists and changes alerts.
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Lists and shows live traces.
    #[command(subcommand)]
    Traces(Traces),
}

/// An exported part of the configuration.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// All alert rules, as a rule file for Prometheus.
    PrometheusRules,
    /// The routes, as a configuration of Alertmanager.
    Alertmanager,
    /// The JSON Schema of the file, for editors.
    JsonSchema,
    /// A file in which every key is a comment.
    CommentedFile,
}

#[derive(Debug, Subcommand)]
enum Traces {
    /// Lists the latest traces.
    List(Service),
    /// Shows the spans of a trace.
    Show {
        /// The trace id.
        id: String,
        #[command(flatten)]
        service: Service,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Failure::Invalid(error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Check) => ExitCode::from(1),
        Err(Failure::Invalid(reason)) => {
            eprintln!("{reason}");
            ExitCode::from(1)
        }
        Err(Failure::Service(reason)) => {
            eprintln!("{reason}");
            ExitCode::from(3)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::CheckConfig { file } => local::check_config(file, json),
        Command::PrintConfig { file } => local::print_config(file),
        Command::TestRules { files } => local::test_rules(&files),
        Command::CheckRules { files } => local::check_rules(&files),
        Command::TestChannel { name } => local::test_channel(&name).await,
        Command::TestEscalation { rule } => local::test_escalation(&rule).await,
        Command::Export { part } => local::export(part),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "llm-observatory", &mut text);
            out!("{}", String::from_utf8_lossy(&text));
            Ok(())
        }
        Command::Status(service) => remote::status(&service, json).await,
        Command::Health(service) => remote::health(&service, json).await,
        Command::Query {
            expression,
            range,
            step,
            service,
        } => {
            let range = range.as_deref().map(|range| (range, step.as_str()));
            remote::query(&service, &expression, range, json).await
        }
        Command::Alerts(command) => alerts::run(command, json).await,
        Command::Traces(Traces::List(service)) => remote::traces(&service, json).await,
        Command::Traces(Traces::Show { id, service }) => remote::trace(&service, &id, json).await,
    }
}
