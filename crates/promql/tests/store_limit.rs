//! Compares the bytes that the series store counts with the bytes that the allocator hands out, at 100,000 series.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and a measurement prints its figures"
)]

use std::alloc::System;
use std::time::Duration;

use promql_engine::Labels;
use promql_engine::store::{Retention, SeriesId, SeriesStore};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERIES: u32 = 100_000;
const TICK: i64 = 10_000;

/// Builds the labels of a bucket: the labels of an inference and a bound, as the metrics of a router have.
fn bucket(n: u32) -> Labels {
    Labels::from_pairs([
        (
            "__name__",
            "llm_router_inference_duration_seconds_bucket".to_owned(),
        ),
        ("le", (n % 16).to_string()),
        ("model_id", format!("vendor/model-{}", n / 16 % 500)),
        ("provider", format!("provider-{}", n / 8000)),
        ("status", "success".to_owned()),
    ])
}

fn value(n: usize, tick: i64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let value = (n % 7) as f64 * tick as f64;
    value
}

/// Registers series and appends samples, and calls `each_tick` with the store and the bytes that it has allocated.
fn filled(series: u32, ticks: i64, mut each_tick: impl FnMut(&SeriesStore, usize)) {
    let mut ids: Vec<SeriesId> = Vec::with_capacity(series as usize);
    let mut samples: Vec<(SeriesId, f64)> = Vec::with_capacity(series as usize);
    let region = Region::new(ALLOCATOR);
    let store = SeriesStore::new(Retention::default());
    let allocated = || {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    ids.extend((0..series).map(|n| store.register(&bucket(n))));
    each_tick(&store, allocated());
    for tick in 1..=ticks {
        samples.clear();
        let accepted = ids.iter().enumerate().filter(|(_, id)| !id.is_refused());
        samples.extend(accepted.map(|(n, id)| (*id, value(n, tick))));
        let sweeps = store.stats().sweeps;
        assert_eq!(store.append_tick(tick * TICK, &samples), samples.len());
        assert!(store.stats().sweeps <= sweeps + 1);
        each_tick(&store, allocated());
    }
}

fn check_estimate(store: &SeriesStore, allocated: usize) {
    let stats = store.stats();
    let counted = usize::try_from(stats.bytes).unwrap();
    let allowed = allocated / 10 * 9..=allocated / 10 * 11;
    assert!(
        allowed.contains(&counted),
        "{allocated} allocated, {stats:?}"
    );
}

#[test]
fn counted_bytes_are_the_allocated_bytes_and_stay_within_the_limit() {
    let limit = Retention::default().bytes;
    let mut per_series = 0;
    filled(20_000, 150, |store, allocated| {
        check_estimate(store, allocated);
        per_series = allocated / 20_000;
    });
    println!("{per_series} bytes a series with 150 samples");
    let mut most = 0;
    filled(SERIES, 150, |store, allocated| {
        check_estimate(store, allocated);
        most = most.max(allocated);
    });
    println!("at most {most} bytes at the limit");
    assert!(most < limit / 10 * 11, "{most} bytes");
}

/// Measures the memory of a series with five labels after registration, and with samples every ten seconds:
/// `cargo test --release -p promql-engine --test store_limit bytes_per_series -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn bytes_per_series() {
    let mut tick = 0;
    filled(20_000, 400, |store, allocated| {
        if [0, 1, 60, 180, 360, 400].contains(&tick) {
            let (series, counted) = (20_000, store.stats().bytes / 20_000);
            let allocated = allocated / series;
            println!("{tick} ticks: {allocated} bytes a series, {counted} counted");
        }
        tick += 1;
    });
}

/// Returns the CPU time of this thread, which other processes do not lengthen (Linux only).
fn cpu_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedstat
        .split(' ')
        .next()
        .and_then(|time| time.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Measures ticks of 100,000 series at the default limit:
/// `cargo test --release -p promql-engine --test store_limit -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn ticks_at_the_limit() {
    let store = SeriesStore::new(Retention::default());
    let all: Vec<Labels> = (0..SERIES).map(bucket).collect();
    let start = cpu_time();
    let ids: Vec<SeriesId> = all.iter().map(|labels| store.register(labels)).collect();
    println!("registration: {:?}", cpu_time().saturating_sub(start));
    let mut times: Vec<Duration> = Vec::new();
    for tick in 1..=600 {
        let values = ids.iter().enumerate();
        let samples: Vec<_> = values.map(|(n, id)| (*id, value(n, tick))).collect();
        let start = cpu_time();
        store.append_tick(tick * TICK, &samples);
        times.push(cpu_time().saturating_sub(start));
        if tick % 100 == 0 {
            println!("tick {tick}: {:?}", store.stats());
        }
    }
    let mean = times.iter().sum::<Duration>() / 600;
    times.sort_unstable();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    println!(
        "resident pages: {}",
        statm.split(' ').nth(1).unwrap_or("unknown")
    );
    println!(
        "ticks: mean {mean:?}, median {:?}, p99 {:?}, max {:?}",
        times[300], times[594], times[599]
    );
}
