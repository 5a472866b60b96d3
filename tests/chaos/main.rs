//! Attacks whole processes, and counts what is lost: `kill -9`, damaged stores, slow clients, remotes that misbehave, a
//! clock that steps, a blocked runtime, and millions of spans.
//!
//! `cargo test --all-features --test chaos` runs the short form in about a minute and a half. With `-- --long`, it runs
//! the form whose figures are in `docs/reliability.md`. Names select attacks: `-- --long kills`. The table of figures is
//! Markdown, and the exit code is 1 if a figure is beyond its limit.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a campaign prints its figures, and fails by panicking"
)]

mod blocked;
mod clock;
mod damage;
mod kills;
mod peers;
mod process;
mod receiver;
mod report;
mod slow;
mod soak;
mod victim;

use std::{env, process::ExitCode, time::Instant};

use crate::report::{Report, Scale};

type Attack = fn(Scale, &mut Report);

/// The attacks, and whether they run without being named: an attack that the observatory does not survive yet does not.
const ATTACKS: [(&str, Attack, bool); 7] = [
    ("kills", kills::run, true),
    ("damage", damage::run, true),
    ("slow", slow::run, false),
    ("peers", peers::run, true),
    ("clock", clock::run, true),
    ("blocked", blocked::run, true),
    ("soak", soak::run, true),
];

fn main() -> ExitCode {
    if env::var(process::ROLE).is_ok() {
        victim::run();
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        // The list that cargo-nextest reads.
        if !has("--ignored") {
            for (name, ..) in ATTACKS.iter().filter(|(.., is_survived)| *is_survived) {
                println!("{name}: test");
            }
        }
        return ExitCode::SUCCESS;
    }
    let scale = if has("--long") {
        Scale::Long
    } else {
        Scale::Short
    };
    let names = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'));
    let names: Vec<&String> = names.collect();
    let mut failed = 0;
    for (name, run, is_survived) in ATTACKS {
        let is_selected = match names[..] {
            [] => is_survived,
            _ => names.iter().any(|part| name.contains(*part)),
        };
        if !is_selected {
            continue;
        }
        let (start, mut report) = (Instant::now(), Report::new(name));
        run(scale, &mut report);
        failed += report.print(start.elapsed());
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        println!("{failed} figures are beyond their limits");
        ExitCode::FAILURE
    }
}
