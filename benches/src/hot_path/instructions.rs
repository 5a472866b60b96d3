//! Counts the instructions and allocations of one operation with callgrind. The counts do not depend on the machine's
//! load, so they can gate.
//!
//! Callgrind also counts the calls of the C library's allocation functions by any code, so no counting allocator stands
//! between a variant and the allocator that a service would use. The result is the difference between two runs of
//! different length, which excludes warm-up and start-up.

use std::{env, fs, process::Command};

use super::{variants::Variant, workload::measured_loop};
use crate::Failure;

/// Turns of the shorter run, a multiple of the number of models; the longer run has twice as many.
const TURNS: usize = 5_000;

/// Turns between two drains, a multiple of the number of models. With ten spans each, they fill half of a batch queue.
pub(crate) const PIECE: usize = 100;
/// The number of pieces that creates all series and warms the branch predictors.
const WARM_UP: usize = 30;

/// The cost of one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

/// The threads whose allocations count. Instructions always count on the thread of the operations alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Every thread, for work that a variant leaves to a thread of its own.
    All,
    /// The thread of the operations.
    Own,
}

/// Counts a variant.
pub(crate) fn count(variant: &Variant) -> Result<Count, Failure> {
    count_over(variant, TURNS, Threads::All)
}

/// Counts a variant with this number of turns in the shorter run.
pub(crate) fn count_over(
    variant: &Variant,
    turns: usize,
    threads: Threads,
) -> Result<Count, Failure> {
    let short = profile(variant, turns, threads)?;
    let long = profile(variant, 2 * turns, threads)?;
    let of_one = |short: u64, long: u64| long.saturating_sub(short) as f64 / turns as f64;
    Ok(Count {
        instructions: of_one(instructions(&short)?, instructions(&long)?),
        allocations: of_one(allocations(&short), allocations(&long)),
    })
}

/// Returns the profile of a variant that runs in a separate process.
fn profile(variant: &Variant, turns: usize, threads: Threads) -> Result<String, Failure> {
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*measured_loop*",
            "--compress-strings=no",
            match threads {
                Threads::All => "--separate-threads=no",
                Threads::Own => "--separate-threads=yes",
            },
        ])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe()?)
        .args(["worker", variant.name, &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind is needed to count instructions: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // With separate threads, callgrind numbers the files; the main thread runs the operations.
    let name = match threads {
        Threads::All => "callgrind.out",
        Threads::Own => "callgrind.out-01",
    };
    Ok(fs::read_to_string(directory.path().join(name))?)
}

fn instructions(profile: &str) -> Result<u64, Failure> {
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .ok_or("callgrind wrote no total")?;
    Ok(total.trim().parse()?)
}

/// Sums the calls of allocation functions: a line `cfn=` names the callee, and the next `calls=` has the count.
fn allocations(profile: &str) -> u64 {
    const FUNCTIONS: [&str; 6] = [
        "malloc",
        "calloc",
        "realloc",
        "memalign",
        "posix_memalign",
        "aligned_alloc",
    ];
    let mut is_allocation = false;
    let mut sum = 0;
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("cfn=") {
            is_allocation = FUNCTIONS.contains(&function);
        } else if let Some(calls) = line.strip_prefix("calls=").filter(|_| is_allocation) {
            let count = calls.split(' ').next().and_then(|count| count.parse().ok());
            sum += count.unwrap_or(0);
        }
    }
    sum
}

/// Runs under callgrind.
pub(crate) fn run_counted(variant: &Variant, turns: usize) {
    let operation = (variant.install)();
    for _ in 0..WARM_UP {
        operation.warm_up(PIECE);
    }
    // The work of a peer's own thread is done between two pieces. Otherwise its progress, and the state in which it
    // leaves the allocator, would depend on timing.
    for _ in 0..turns / PIECE {
        measured_loop(&operation, PIECE, 1);
        (operation.drain)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_callgrind_writes_it() {
        let profile = "events: Ir\nfn=a\n1 5\ncfn=malloc\ncalls=3 0\n1 60\ncfn=free\ncalls=4 0\n1 9\ntotals: 74\n";
        assert_eq!(instructions(profile).unwrap(), 74);
        assert_eq!(allocations(profile), 3);
    }
}
