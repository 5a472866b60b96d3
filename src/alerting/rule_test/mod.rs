//! Runs rule tests in promtool's format, without a Prometheus process, and reports the differences.
//!
//! A test appends its input series to a store of its own, evaluates the rules at every `evaluation_interval` from time
//! 0 on, and compares firing alerts and results of expressions with the expected values. Results and exit codes are
//! those of `promtool test rules`. The semantics are those of Prometheus 3 unless [`RuleTests::with_engine`] sets
//! others.
//!
//! Native histograms in `input_series` are rejected, because the engine does not support them.

mod execute;
mod file;
mod series;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::query::engine::EngineOptions;

/// Runs rule tests with configurable semantics.
#[derive(Clone, Debug, Default)]
pub struct RuleTests {
    engine: EngineOptions,
}

/// The results of the tests in several files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The results, in the order in which the files were passed.
    pub files: Vec<FileReport>,
}

/// The results of the tests in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Path of the file.
    pub path: PathBuf,
    /// Differences from the expected results; empty if all tests passed.
    pub failures: Vec<String>,
    /// Problems that do not make a test fail: a pattern that matches no rule file.
    pub warnings: Vec<String>,
}

/// Runs the tests in the given files.
#[must_use]
pub fn run<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Report {
    RuleTests::default().run(files)
}

impl RuleTests {
    /// Sets the engine's semantics. Subqueries without a step use the file's evaluation interval in any case.
    #[must_use]
    pub fn with_engine(mut self, engine: EngineOptions) -> Self {
        self.engine = engine;
        self
    }

    /// Runs the tests in the given files.
    #[must_use]
    pub fn run<P: AsRef<Path>>(&self, files: impl IntoIterator<Item = P>) -> Report {
        let files = files.into_iter();
        Report {
            files: files.map(|path| self.run_file(path.as_ref())).collect(),
        }
    }

    fn run_file(&self, path: &Path) -> FileReport {
        let mut report = FileReport {
            path: path.to_owned(),
            failures: Vec::new(),
            warnings: Vec::new(),
        };
        match file::load(path, &mut report.warnings) {
            Ok(tests) => report.failures = execute::run(&tests, &self.engine),
            Err(error) => report.failures.push(error),
        }
        report
    }
}

impl Report {
    /// Returns whether every file passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.files.iter().all(|file| file.failures.is_empty())
    }

    /// Returns promtool's exit code: 0 if every file passed, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_passed())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "Unit Testing:  {}", file.path.display())?;
            for warning in &file.warnings {
                writeln!(f, "  WARNING: {warning}")?;
            }
            if file.failures.is_empty() {
                writeln!(f, "  SUCCESS")?;
            } else {
                writeln!(f, "  FAILED:")?;
            }
            for failure in &file.failures {
                writeln!(f, "{failure}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
