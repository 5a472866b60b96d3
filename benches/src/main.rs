//! The cost of llm-observatory beside its peers.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot measure"
)]

mod hot_path;
mod statistics;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use hot_path::{instructions, time, variants, worker};

/// Why something could not be measured.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Measures llm-observatory beside its peers.
#[derive(Parser)]
enum Command {
    /// Lists what can be measured.
    List,
    /// Counts instructions
    Instructions { names: Vec<String> },
    /// Time.
    Time,
    #[command(hide = true)]
    Worker {
        name: String,
        counted: Option<usize>,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::List => {
            for v in variants::VARIANTS {
                println!("{:24} {}", v.name, v.about);
            }
        }
        Command::Instructions { names } => {
            for v in variants::VARIANTS
                .iter()
                .filter(|v| names.is_empty() || names.iter().any(|n| n == v.name))
            {
                let c = instructions::count(v)?;
                println!(
                    "{:24} {:10.0} {:6.2}",
                    v.name, c.instructions, c.allocations
                );
            }
        }
        Command::Time => {
            for c in time::compare_all()? {
                println!(
                    "{:24} {:.0}   {:.2}",
                    c.variant.name, c.nanoseconds, c.ratio
                );
            }
            println!("to rival {:.2}", time::compare_with_rival()?);
            let c = time::contend()?;
            println!("one {:.0} two {:.0} ratio {:.2}", c.one, c.two, c.ratio);
        }
        Command::Worker { name, counted } => {
            let variant = variants::named(&name).ok_or("there is no such variant")?;
            match counted {
                Some(turns) => instructions::run_counted(variant, turns),
                None => worker::serve(variant)?,
            }
        }
    }
    Ok(true)
}
