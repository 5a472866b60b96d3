//! A process for each variant: it installs the variant globally, and answers each line with a measurement.
//!
//! The processes wait for their turns, so they can be measured in the order A B B A, and other load of the machine
//! affects both.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{time, variants::Variant};
use crate::Failure;

/// A process that measures one variant.
pub(crate) struct Worker {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker, which is warm when it answers.
    pub(super) fn start(variant: &Variant) -> Result<Self, Failure> {
        Self::with_arguments(&["worker", variant.name])
    }

    /// Starts this program with other arguments.
    pub(crate) fn with_arguments(arguments: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a worker has no pipes".into());
        };
        Ok(Self {
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    /// Makes the worker measure once.
    pub(crate) fn ask(&mut self, question: &str) -> Result<f64, Failure> {
        writeln!(self.questions, "{question}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The worker may have ended already; it is waited for in either case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs in the worker process: answers until the input ends.
pub(crate) fn serve(variant: &Variant) -> Result<(), Failure> {
    let operation = (variant.install)();
    operation.warm_up(3_000);
    for question in std::io::stdin().lines() {
        println!("{}", time::answer(&operation, &question?.parse()?));
    }
    Ok(())
}
