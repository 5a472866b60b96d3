//! Measures the time of one operation in blocks A B B A, so that other load of the machine affects both variants alike.
//!
//! The measured time is a thread's CPU time: with more processes than cores, the wall clock would measure the others.

use std::{sync::Barrier, thread};

use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use super::{
    variants::{BASELINE, OURS, PEER_TO_BEAT, VARIANTS, Variant, named},
    worker::Worker,
    workload::{Operation, measured_loop},
};
use crate::{Failure, statistics::Median};

/// Blocks A B B A with the same two processes; a new pair follows, since the memory layout of a process matters too.
const BLOCKS: usize = 4;
/// Pairs of processes. The interval of a median of 20 blocks goes from the 6th to the 15th.
const PAIRS: usize = 5;
const TURNS: usize = 2_000;
/// Loops of [`TURNS`]; their median is one measurement.
const BATCHES: usize = 15;

/// A comparison of a variant with the baseline.
pub(crate) struct Compared {
    pub(crate) variant: &'static Variant,
    pub(crate) nanoseconds: Median,
    /// Ratio to the baseline, in the same blocks.
    pub(crate) ratio: Median,
}

/// The cost of two threads on one label set, beside one thread.
pub(crate) struct Contended {
    /// Nanoseconds that one thread, and each of two threads, adds to the baseline.
    pub(crate) one: Median,
    pub(crate) two: Median,
    pub(crate) ratio: Median,
}

/// Measures every variant beside the baseline.
pub(crate) fn compare_all() -> Result<Vec<Compared>, Failure> {
    VARIANTS
        .iter()
        .map(|variant| {
            let blocks = blocks(BASELINE, variant.name)?;
            Ok(Compared {
                variant,
                nanoseconds: Median::of(blocks.iter().map(|(_, b)| *b).collect()),
                ratio: Median::of(blocks.iter().map(|(a, b)| b / a).collect()),
            })
        })
        .collect()
}

/// Returns the ratio of our time to the time of the peer that it must beat.
pub(crate) fn compare_with_rival() -> Result<Median, Failure> {
    let blocks = blocks(PEER_TO_BEAT, OURS)?;
    Ok(Median::of(blocks.iter().map(|(a, b)| b / a).collect()))
}

/// Measures one label set with one thread and with two.
pub(crate) fn contend() -> Result<Contended, Failure> {
    let mut added = Vec::new();
    for _ in 0..PAIRS {
        let (mut baseline, mut ours) = (start(BASELINE)?, start(OURS)?);
        for _ in 0..BLOCKS {
            let one = block(&mut baseline, &mut ours, "1 0")?;
            let two = block(&mut baseline, &mut ours, "2 0")?;
            added.push((one.1 - one.0, two.1 - two.0));
        }
    }
    Ok(Contended {
        one: Median::of(added.iter().map(|(one, _)| *one).collect()),
        two: Median::of(added.iter().map(|(_, two)| *two).collect()),
        ratio: Median::of(added.iter().map(|(one, two)| two / one).collect()),
    })
}

fn start(name: &str) -> Result<Worker, Failure> {
    Worker::start(named(name).ok_or("there is no such variant")?)
}

/// Pairs of measurements of two variants.
fn blocks(a: &str, b: &str) -> Result<Vec<(f64, f64)>, Failure> {
    let mut blocks = Vec::new();
    for _ in 0..PAIRS {
        let (mut a, mut b) = (start(a)?, start(b)?);
        for _ in 0..BLOCKS {
            blocks.push(block(&mut a, &mut b, "1 1")?);
        }
    }
    Ok(blocks)
}

/// Measures A B B A; returns the means of both.
fn block(a: &mut Worker, b: &mut Worker, question: &str) -> Result<(f64, f64), Failure> {
    let first = a.ask(question)?;
    let seconds = (b.ask(question)?, b.ask(question)?);
    let last = a.ask(question)?;
    Ok((
        f64::midpoint(first, last),
        f64::midpoint(seconds.0, seconds.1),
    ))
}

/// The parameters of a measurement: the number of threads, and whether all turns have one label set.
pub(super) struct Parameters {
    threads: usize,
    step: usize,
}

impl std::str::FromStr for Parameters {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (threads, step) = text.split_once(' ').ok_or("two numbers are wanted")?;
        Ok(Self {
            threads: threads.parse()?,
            step: step.parse()?,
        })
    }
}

/// Returns the nanoseconds of CPU time per operation and thread.
pub(super) fn answer(operation: &Operation, question: &Parameters) -> f64 {
    let Parameters { threads, step } = *question;
    if threads == 1 {
        // Pinned, since cores of a shared machine differ, and two threads use two cores.
        return f64::midpoint(alone(operation, step, 0), alone(operation, step, 1));
    }
    let together = Barrier::new(threads);
    let medians: Vec<f64> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|core| {
                let together = &together;
                scope.spawn(move || {
                    stay_on(core);
                    let samples = (0..BATCHES).map(|_| {
                        together.wait();
                        batch(operation, step)
                    });
                    Median::of(samples.collect()).value
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("measuring does not panic"))
            .collect()
    });
    (operation.drain)();
    medians.iter().sum::<f64>() / medians.len() as f64
}

/// One thread, on this core.
fn alone(operation: &Operation, step: usize, core: usize) -> f64 {
    stay_on(core);
    let samples = (0..BATCHES).map(|_| {
        let sample = batch(operation, step);
        (operation.drain)();
        sample
    });
    Median::of(samples.collect()).value
}

fn batch(operation: &Operation, step: usize) -> f64 {
    let before = cpu_nanoseconds();
    measured_loop(operation, TURNS, step);
    (cpu_nanoseconds() - before) / TURNS as f64
}

fn cpu_nanoseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Returns the cores for the threads. Contending threads must not share a core, unless the machine leaves no choice.
fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}
