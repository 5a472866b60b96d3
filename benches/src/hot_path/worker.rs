//! A process for each variant: it installs itself globally, and answers a line with a number.
//!
//! Processes that wait in turns can be asked A B B A, so that what the machine does meanwhile hits both.

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
    /// Starts it; it is warm when it answers.
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

    /// Has it measure once.
    pub(crate) fn ask(&mut self, question: &str) -> Result<f64, Failure> {
        writeln!(self.questions, "{question}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already cannot be ended again; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker's own side: answers until nobody asks any more.
pub(crate) fn serve(variant: &Variant) -> Result<(), Failure> {
    let operation = (variant.install)();
    operation.warm_up(3_000);
    for question in std::io::stdin().lines() {
        println!("{}", time::answer(&operation, &question?.parse()?));
    }
    Ok(())
}
