//! Profiles of a process whose threads panic, allocate, start threads and capture backtraces.
//!
//! The long form has 600 profiles: `cargo test -p stack-sampler --release --test torture -- --ignored long`.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test"
)]

use std::{
    cell::Cell,
    collections::BTreeSet,
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use stack_sampler::{Counters, Options, Sample, Session, StartError, sample_thread};

/// Serialises the tests: the process has one timer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

thread_local! {
    static LABEL: Cell<u64> = const { Cell::new(0) };
}

fn label() -> u64 {
    LABEL.get()
}

fn options(frequency_hz: u32) -> Options {
    Options {
        frequency_hz,
        label,
    }
}

/// Returns the names of the functions of a sample, innermost first.
fn names(sample: &Sample) -> Vec<String> {
    let mut names = Vec::new();
    for address in &sample.frames {
        backtrace::resolve(*address as *mut _, |symbol| {
            names.extend(symbol.name().map(|name| name.to_string()));
        });
    }
    names
}

/// Threads that work until the value is dropped.
struct Load {
    is_stopped: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(work: &[fn()]) -> Self {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let start = |(index, work): (usize, &fn())| {
            let (is_stopped, work) = (Arc::clone(&is_stopped), *work);
            thread::spawn(move || {
                LABEL.set(index as u64 + 1);
                while !is_stopped.load(Ordering::Relaxed) {
                    work();
                }
            })
        };
        let threads = work.iter().enumerate().map(start).collect();
        Self {
            is_stopped,
            threads,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("the work does not panic");
        }
    }
}

fn panics() {
    let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("boom")));
    assert!(caught.is_err());
}

fn allocates() {
    let vectors: Vec<Vec<u8>> = (1..200).map(|size| vec![1; size * 64]).collect();
    black_box(vectors);
}

fn spawns() {
    let started = thread::spawn(|| black_box((0..1000_u64).sum::<u64>()));
    started.join().expect("a sum");
}

fn captures() {
    black_box(backtrace::Backtrace::new_unresolved());
    drop(black_box(std::backtrace::Backtrace::force_capture()));
}

#[inline(never)]
fn recurses(depth: u64) -> u64 {
    if depth == 0 {
        return (0..20_000_u64).fold(0, |sum, value| black_box(sum ^ value));
    }
    black_box(recurses(depth - 1) + 1)
}

fn deep() {
    black_box(recurses(400));
}

fn torture(profiles: usize, length: Duration) {
    let _alone = alone();
    let _load = Load::start(&[panics, allocates, spawns, captures, deep]);
    let mut total = Counters::default();
    let mut labels = BTreeSet::new();
    let cpu_start = process_cpu();
    for _ in 0..profiles {
        let mut session = Session::start(options(997)).expect("a session");
        let end = Instant::now() + length;
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
            session.drain(|sample| {
                labels.insert(sample.label);
            });
        }
        session.pause();
        let counters = session.counters();
        total.samples += counters.samples;
        total.truncated += counters.truncated;
        total.lost_busy += counters.lost_busy;
        total.lost_full += counters.lost_full;
        total.time_in_handler += counters.time_in_handler;
    }
    let cpu = process_cpu() - cpu_start;
    println!("{total:?} in {cpu:.1} CPU-seconds; labels {labels:?}");
    assert_eq!((total.lost_busy, total.lost_full), (0, 0));
    assert!(total.samples > 5 * profiles as u64, "{total:?}");
    assert!(labels.len() >= 5, "the labels of the threads: {labels:?}");
}

/// Returns the CPU-seconds of the process.
fn process_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
fn sixty_profiles_of_threads_that_panic_allocate_spawn_and_capture_backtraces() {
    torture(60, Duration::from_millis(50));
}

#[test]
#[ignore = "the long form"]
fn long_form_of_600_profiles() {
    torture(600, Duration::from_millis(500));
}

#[test]
fn a_second_session_is_refused_and_the_first_goes_on() {
    let _alone = alone();
    let _load = Load::start(&[deep]);
    let mut session = Session::start(options(500)).expect("a session");
    for _ in 0..200 {
        assert!(matches!(Session::start(options(99)), Err(StartError::Busy)));
    }
    let mut samples = 0;
    let start = Instant::now();
    while samples < 20 {
        assert!(start.elapsed() < Duration::from_secs(20), "no samples");
        thread::sleep(Duration::from_millis(5));
        session.drain(|_| samples += 1);
    }
    assert!(session.has_signal());
}

#[test]
fn frequencies_out_of_range_are_refused() {
    for frequency in [0, 1001] {
        let started = Session::start(options(frequency));
        assert!(
            matches!(started, Err(StartError::Frequency(_))),
            "{frequency}"
        );
    }
}

#[inline(never)]
fn sleeps_until(stop: &mpsc::Receiver<()>) {
    while stop.try_recv().is_err() {
        thread::sleep(Duration::from_millis(50));
    }
    black_box(stop);
}

#[inline(never)]
fn waits_for(mutex: &Mutex<()>) {
    drop(black_box(mutex.lock()));
    black_box(mutex);
}

fn thread_id() -> i32 {
    let link = std::fs::read_link("/proc/thread-self").expect("a thread");
    let name = link
        .file_name()
        .expect("an id")
        .to_string_lossy()
        .into_owned();
    name.parse().expect("a number")
}

#[test]
fn the_stacks_of_a_sleeping_thread_and_of_a_thread_at_a_mutex_are_whole() {
    let _alone = alone();
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.lock().expect("a new mutex");
    let (stop, is_stopped) = mpsc::channel();
    let (send, ids) = mpsc::channel();
    let sender = send.clone();
    let sleeper = thread::spawn(move || {
        LABEL.set(71);
        sender
            .send(("sleeps_until", 71, thread_id()))
            .expect("a receiver");
        sleeps_until(&is_stopped);
    });
    let own = Arc::clone(&mutex);
    let waiter = thread::spawn(move || {
        LABEL.set(72);
        send.send(("waits_for", 72, thread_id()))
            .expect("a receiver");
        waits_for(&own);
    });
    let threads: Vec<_> = ids.iter().take(2).collect();
    thread::sleep(Duration::from_millis(50));
    for (function, label, thread) in threads {
        let answer = sample_thread(thread, options(99), Duration::from_secs(5));
        let (sample, modules) = answer.expect("a stack");
        let names = names(&sample);
        assert!(
            names.iter().any(|name| name.contains(function)),
            "{names:?}"
        );
        assert!(!sample.is_truncated, "{names:?}");
        assert_eq!((sample.label, sample.thread), (label, thread));
        let is_in_module =
            |address: &u64| modules.iter().any(|module| module.range.contains(address));
        assert!(sample.frames.iter().all(is_in_module));
    }
    stop.send(()).expect("a receiver");
    drop(held);
    sleeper.join().expect("sleeps");
    waiter.join().expect("waits");
}

#[test]
fn a_thread_that_does_not_exist_is_an_error() {
    let _alone = alone();
    let answer = sample_thread(i32::MAX, options(99), Duration::from_secs(1));
    assert!(matches!(
        answer,
        Err(StartError::System { call: "tgkill", .. })
    ));
}
