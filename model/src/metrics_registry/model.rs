//! Models of counters, gauges, histograms and the split into stripes.

use std::sync::atomic::Ordering::Relaxed;

use super::{
    bounds::Bounds,
    cells::{Counter, Gauge, Histogram},
    diagnostics::Diagnostics,
    striped::{Part, Striped, add},
};
use crate::run::{Arc, AtomicU64, check, thread};

/// The failed compare-and-swaps before the copied cells split; [`split`] checks it.
const MAX_MISSES: usize = 1;

pub fn run() {
    check(
        "a counter loses no increment, and a reader never sees it fall",
        || {
            let counter = Arc::new(Counter::default());
            let writers = [1, 10].map(|value| {
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    counter.add(value);
                    counter.add_f64(0.5).unwrap();
                })
            });
            let first = counter.value().as_f64();
            let second = counter.value().as_f64();
            assert!(first <= second && second <= 12.0, "{first} {second}");
            writers
                .into_iter()
                .for_each(|writer| writer.join().unwrap());
            let value = counter.value();
            assert_eq!((value.whole, value.fraction), (11, 1.0));
        },
    );
    check("an external count is raised to its highest value", || {
        let counter = Arc::new(Counter::default());
        let other = Arc::clone(&counter);
        let raise = thread::spawn(move || other.raise_to(7));
        counter.raise_to(5);
        raise.join().unwrap();
        assert_eq!(counter.value().whole, 7);
        assert!(counter.value().fraction == 0.0);
    });
    for start in [1.0, 2.0] {
        check("a gauge lowers to zero but not below", move || {
            let gauge = Arc::new(Gauge::default());
            gauge.add(start);
            let lowered = [(), ()].map(|()| {
                let gauge = Arc::clone(&gauge);
                thread::spawn(move || gauge.lower())
            });
            lowered.into_iter().for_each(|lower| lower.join().unwrap());
            assert_eq!(gauge.value(), 0.0);
        });
    }
    check("a gauge keeps every addition", || {
        let gauge = Arc::new(Gauge::default());
        let raised = [2.0, -0.5].map(|value| {
            let gauge = Arc::clone(&gauge);
            thread::spawn(move || gauge.add(value))
        });
        raised.into_iter().for_each(|raise| raise.join().unwrap());
        assert_eq!(gauge.value(), 1.5);
    });
    check("a histogram loses no value", || {
        let parts = (
            std::sync::Arc::new(Bounds),
            std::sync::Arc::new(Diagnostics),
        );
        let histogram = Arc::new(Histogram::new(parts.0, parts.1));
        let writers = [0.5, 1.5].map(|value| {
            let histogram = Arc::clone(&histogram);
            thread::spawn(move || histogram.record_many(value, 2))
        });
        assert!(histogram.count() <= 4);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [2, 2, 0]);
        assert_eq!(histogram.sum(), 4.0);
    });
    check("a cell that splits meanwhile loses no increment", split);
}

struct Number(AtomicU64);

impl Part for Number {
    fn empty(&self) -> Self {
        Self(AtomicU64::new(0))
    }
}

/// Two writers, the first of which makes the cell split, and a reader.
fn split() {
    let cell = Striped::new(Number(AtomicU64::new(0)));
    (0..MAX_MISSES).for_each(|_| cell.missed());
    assert!(cell.only().is_some(), "the cell has split already");
    let cell = Arc::new(cell);
    let write = |cell: &Striped<Number>| match cell.only() {
        Some(part) => _ = add(&part.0, 1),
        None => _ = cell.mine().0.fetch_add(1, Relaxed),
    };
    let writers = [true, false].map(|splits| {
        let cell = Arc::clone(&cell);
        thread::spawn(move || {
            write(&cell);
            if splits {
                cell.missed();
            }
            write(&cell);
        })
    });
    let sum = |cell: &Striped<Number>| cell.parts().map(|part| part.0.load(Relaxed)).sum::<u64>();
    let first = sum(&cell);
    let second = sum(&cell);
    assert!(first <= second && second <= 4, "{first} {second}");
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert!(cell.only().is_none(), "the cell has not split");
    assert_eq!(sum(&cell), 4);
}
