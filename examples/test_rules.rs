//! Runs rule tests in promtool's format: `cargo run --example test_rules -- FILE…`.
//!
//! Exits like promtool: 0 if every file passed, otherwise 1.
#![allow(clippy::print_stdout, reason = "the program prints its results")]

use std::process::ExitCode;

use llm_observatory::alerting::rule_test;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: test_rules FILE…");
        return ExitCode::FAILURE;
    }
    let report = rule_test::run(files);
    print!("{report}");
    ExitCode::from(report.exit_code())
}
