//! Runs rule tests in promtool's format, without a Prometheus: files in, a verdict and readable differences out.
//!
//! A test feeds input series to a store of its own, evaluates the rules at every `evaluation_interval` from time 0
//! on, and compares what fires and what expressions give with what is expected. Verdicts and exit codes are those of
//! `promtool test rules`; the engine's semantics are Prometheus 3's unless [`RuleTests::with_engine`] says otherwise.
//!
//! Native histograms in `input_series` are refused by name: the engine does not have them.

mod execute;
mod file;
mod series;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::query::engine::EngineOptions;

/// How rule tests are run.
#[derive(Clone, Debug, Default)]
pub struct RuleTests {
    engine: EngineOptions,
}

/// What came of the tests of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The files, in the order in which they were given.
    pub files: Vec<FileReport>,
}

/// What came of the tests of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What is not as expected; empty where all is.
    pub failures: Vec<String>,
    /// What is no failure and yet not right: a pattern that matches no rule file.
    pub warnings: Vec<String>,
}

/// Runs the tests of these files.
#[must_use]
pub fn run<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Report {
    RuleTests::default().run(files)
}

impl RuleTests {
    /// Sets the engine's semantics; subqueries without a step take the file's evaluation interval in any case.
    #[must_use]
    pub fn with_engine(mut self, engine: EngineOptions) -> Self {
        self.engine = engine;
        self
    }

    /// Runs the tests of these files.
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
    /// Whether every file passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.files.iter().all(|file| file.failures.is_empty())
    }

    /// promtool's exit code: 0 where every file passed, else 1.
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
