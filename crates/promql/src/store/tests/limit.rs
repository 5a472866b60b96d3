use super::super::chunk::Point;
use super::super::*;
use crate::labels::Labels;
use crate::matcher::Matcher;

const TICK: i64 = 10_000;
const MINUTE: i64 = 60_000;

/// A store with a limit of 1 MiB, and the series that it was asked to register.
struct Limited {
    store: SeriesStore,
    now: i64,
}

fn limited() -> Limited {
    Limited {
        store: SeriesStore::new(Retention::default().with_bytes(1 << 20)),
        now: 0,
    }
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "up".to_owned()), ("n", n.to_string())])
}

impl Limited {
    fn register(&self, numbers: std::ops::Range<usize>) -> Vec<SeriesId> {
        numbers.map(|n| self.store.register(&labels(n))).collect()
    }

    /// Appends a sample to each series, and returns the number of sweeps.
    fn tick(&mut self, ids: &[SeriesId]) -> u64 {
        let before = self.store.stats().sweeps;
        self.now += TICK;
        let value = (self.now as f64).sqrt();
        let samples: Vec<_> = ids.iter().map(|id| (*id, value)).collect();
        self.store.append_tick(self.now, &samples);
        self.store.stats().sweeps - before
    }

    fn holds(&self, n: usize) -> bool {
        let matcher = Matcher::equal("n", n.to_string());
        !self.store.series(&[matcher]).is_empty()
    }
}

fn accepted(ids: &[SeriesId]) -> Vec<SeriesId> {
    ids.iter().copied().filter(|id| !id.is_refused()).collect()
}

#[test]
fn new_series_are_refused_only_beyond_the_limit() {
    let mut limited = limited();
    let below = limited.register(0..500);
    limited.tick(&below);
    let stats = limited.store.stats();
    assert_eq!((stats.series, stats.refused_series), (500, 0));
    assert!(limited.store.has_room());

    let all = limited.register(0..5000);
    let kept = accepted(&all);
    let stats = limited.store.stats();
    assert!((500..2000).contains(&kept.len()), "{stats:?}");
    assert_eq!(stats.series, kept.len() as u64);
    assert_eq!(stats.refused_series, 5000 - kept.len() as u64);
    assert!(stats.bytes <= 1 << 20, "{stats:?}");
    assert_eq!(limited.store.append_tick(TICK * 2, &[(all[4999], 1.0)]), 0);
}

#[test]
fn known_series_go_on_at_the_limit_with_shorter_histories() {
    let mut limited = limited();
    let ids = limited.register(0..5000);
    let kept = accepted(&ids);
    for _ in 0..600 {
        let accepted_before = limited.store.stats().refused_samples;
        let sweeps = limited.tick(&kept);
        assert!(sweeps <= 1, "{sweeps} sweeps in a tick");
        let stats = limited.store.stats();
        assert!(stats.bytes <= (1 << 20) / 10 * 11, "{stats:?}");
        assert_eq!(stats.refused_samples, accepted_before);
    }
    let stats = limited.store.stats();
    assert_eq!(stats.series, kept.len() as u64);
    assert!(stats.evicted_samples > 0, "{stats:?}");
    let inner = limited.store.read();
    for id in kept {
        let mut points: Vec<Point> = Vec::new();
        inner.window(id, (limited.now - 2 * MINUTE, limited.now), &mut points);
        assert!(points.len() >= 2, "{} samples for a rate", points.len());
    }
}

#[test]
fn a_sweep_that_cannot_help_is_not_repeated() {
    let mut limited = limited();
    let kept = accepted(&limited.register(0..5000));
    limited.tick(&kept);
    let after_refusal = limited.store.stats();
    limited.register(10_000..20_000);
    for _ in 0..3 {
        limited.tick(&kept);
        limited.register(10_000..20_000);
    }
    let stats = limited.store.stats();
    assert_eq!(stats.refused_series, after_refusal.refused_series + 40_000);
    assert!(
        stats.sweeps <= after_refusal.sweeps + 2,
        "{} sweeps",
        stats.sweeps - after_refusal.sweeps
    );
    assert!(!limited.store.has_room());
}

#[test]
fn the_oldest_idle_series_go_first() {
    let mut limited = limited();
    let kept = accepted(&limited.register(0..5000));
    let third = kept.len() / 3;
    limited.tick(&kept);
    for _ in 0..6 {
        limited.tick(&kept[third..]);
    }
    // Six minutes later the first third is idle, and the second third is idle for a shorter time.
    for _ in 0..36 {
        limited.tick(&kept[2 * third..]);
    }
    let new = 10_000;
    assert!(!limited.store.register(&labels(new)).is_refused());
    assert!(limited.holds(new) && !limited.holds(0));
    for n in third..kept.len() {
        assert!(limited.holds(n), "series {n} of {}", kept.len());
    }
    assert_eq!(
        limited
            .store
            .append_tick(limited.now + 1, &[(kept[0], 1.0)]),
        0
    );
    // The whole room of idle series is used before a new series is refused.
    let others = accepted(&limited.register(20_000..30_000));
    for _ in 0..40 {
        limited.tick(&kept[2 * third..]);
        limited.register(20_000..30_000);
    }
    assert!(!limited.holds(third) && limited.holds(2 * third));
    assert!(!others.is_empty());
}

#[test]
fn a_refused_series_is_accepted_when_room_is_there() {
    let mut limited = limited();
    let kept = accepted(&limited.register(0..5000));
    let refused = labels(4999);
    let half = kept.len() / 2;
    limited.tick(&kept);
    for _ in 0..29 {
        limited.tick(&kept[half..]);
    }
    // A gap of 5 minutes, and a tick more.
    assert!(limited.store.register(&refused).is_refused());
    limited.tick(&kept[half..]);
    assert!(limited.store.register(&refused).is_refused());
    limited.tick(&kept[half..]);
    assert!(limited.store.has_room());
    assert!(!limited.store.register(&refused).is_refused());
}

#[test]
fn idle_series_stay_below_the_limit() {
    let mut limited = limited();
    let ids = limited.register(0..100);
    limited.tick(&ids);
    for _ in 0..200 {
        limited.tick(&ids[50..]);
    }
    assert_eq!(limited.store.stats().series, 100);
}
