//! Instructions and allocations of one operation, counted by callgrind: they do not depend on what else the
//! machine does, so they can gate.
//!
//! Callgrind counts the calls of the C library's allocation functions too, whoever makes them, so no counting
//! allocator stands between a variant and the allocator that a service would have. What is reported is the
//! difference of two runs of different length: warm-up and whatever happens once fall out of it.

use std::{env, fs, process::Command};

use super::{variants::Variant, workload::measured_loop};
use crate::Failure;

/// Turns of the shorter run, a multiple of the number of models; the longer one has twice as many.
const TURNS: usize = 5_000;

/// Turns between two drains, a multiple of the number of models. Ten spans each are half of a batch queue.
pub(crate) const PIECE: usize = 100;
/// Pieces as often as series need to exist, and branch predictors to be warm.
const WARM_UP: usize = 30;

/// What one operation costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

/// Counts a variant.
pub(crate) fn count(variant: &Variant) -> Result<Count, Failure> {
    count_over(variant, TURNS)
}

/// Counts a variant over so many turns in the shorter run.
pub(crate) fn count_over(variant: &Variant, turns: usize) -> Result<Count, Failure> {
    let (short, long) = (profile(variant, turns)?, profile(variant, 2 * turns)?);
    let of_one = |short: u64, long: u64| long.saturating_sub(short) as f64 / turns as f64;
    Ok(Count {
        instructions: of_one(instructions(&short)?, instructions(&long)?),
        allocations: of_one(allocations(&short), allocations(&long)),
    })
}

/// The profile of a variant that runs in a process of its own.
fn profile(variant: &Variant, turns: usize) -> Result<String, Failure> {
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*measured_loop*",
            "--compress-strings=no",
        ])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe()?)
        .args(["worker", variant.name, &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind is needed to count instructions: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(fs::read_to_string(profile)?)
}

fn instructions(profile: &str) -> Result<u64, Failure> {
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .ok_or("callgrind wrote no total")?;
    Ok(total.trim().parse()?)
}

/// Calls of allocation functions: a line `cfn=` names what is called, `calls=` behind it says how often.
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

/// What runs under callgrind.
pub(crate) fn run_counted(variant: &Variant, turns: usize) {
    let operation = (variant.install)();
    for _ in 0..WARM_UP {
        operation.warm_up(PIECE);
    }
    // What a peer's own thread is to do, it does between two pieces: how far it comes meanwhile, and what it leaves to
    // the allocator, would otherwise depend on the moment.
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
