mod limit;

use std::time::Duration;

use super::*;
use crate::engine::syntax::{ParseLimits, parse};
use crate::matcher::MatchOp;

fn labels(name: &str, model: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("model", model)])
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

fn window(store: &SeriesStore, id: SeriesId, range: (i64, i64)) -> Vec<(i64, f64)> {
    let mut points = Vec::new();
    store.read().window(id, range, &mut points);
    points.iter().map(|p| (p.timestamp, p.value)).collect()
}

#[test]
fn matchers_find_series_and_an_absent_label_counts_as_empty() {
    let store = SeriesStore::default();
    for (name, model) in [("up", "a"), ("up", "b"), ("up", ""), ("down", "a")] {
        store.append(&labels(name, model), 1000, 1.0);
    }
    let check =
        |matchers: &[Matcher], count: usize| assert_eq!(store.series(matchers).len(), count);
    let up = || Matcher::equal("__name__", "up");
    check(&[up()], 3);
    check(&[up(), matcher("model", MatchOp::Regex, "a|b")], 2);
    check(&[up(), matcher("model", MatchOp::NotEqual, "a")], 2);
    check(&[up(), Matcher::equal("model", "")], 1);
    check(&[matcher("model", MatchOp::Regex, "a.*")], 2);
    check(&[up(), Matcher::equal("zone", "x")], 0);
    check(&[matcher("__name__", MatchOp::NotRegex, "u.*")], 1);
    assert_eq!(store.label_values("model"), ["a", "b"]);
}

#[test]
fn samples_out_of_order_and_for_gone_series_are_refused_and_counted() {
    let store = SeriesStore::new(Retention::default().with_time(Duration::from_secs(10)));
    let id = store.register(&labels("up", "a"));
    assert_eq!(store.append_tick(1000, &[(id, 1.0)]), 1);
    assert_eq!(store.append_tick(1000, &[(id, 2.0)]), 0);
    assert!(store.append(&labels("up", "b"), 20_000, 1.0));
    assert_eq!(store.append_tick(21_000, &[(id, 2.0)]), 0);
    assert_eq!(store.stats().refused_samples, 2);
    assert_eq!(store.stats().series, 1);
    assert_ne!(store.register(&labels("up", "a")), id);
}

#[test]
fn retention_drops_the_oldest_and_memory_too() {
    let minute = 60_000;
    let store = SeriesStore::new(Retention::default().with_time(Duration::from_mins(10)));
    let id = store.register(&labels("up", "a"));
    for tick in 0..1000 {
        store.append_tick(tick * 10_000, &[(id, f64::from(tick as i32))]);
    }
    // Retention drops whole chunks: at most one chunk more than the limit is kept.
    let kept = window(&store, id, (0, i64::MAX)).len();
    assert!((60..=60 + 120 + 1).contains(&kept), "{kept}");
    assert_eq!(
        window(&store, id, (9_980_000, i64::MAX)),
        [(9_980_000, 998.0), (9_990_000, 999.0)]
    );

    let small = SeriesStore::new(Retention::default().with_bytes(20_000));
    let ids: Vec<_> = (0..10)
        .map(|n| small.register(&labels("up", &n.to_string())))
        .collect();
    for tick in 0..50 * 60 {
        let samples: Vec<_> = ids.iter().map(|id| (*id, 0.1 * tick as f64)).collect();
        small.append_tick(tick * minute / 60, &samples);
    }
    let stats = small.stats();
    assert!(
        stats.bytes <= 25_000 && stats.evicted_samples > 0,
        "{stats:?}"
    );
}

#[test]
fn a_stale_marker_hides_the_series() {
    let store = SeriesStore::default();
    let id = store.register(&labels("up", "a"));
    store.append_tick(1000, &[(id, 1.0)]);
    assert!(store.mark_stale(id, 2000));
    let inner = store.read();
    assert!(inner.latest(id, 0, 1500).is_some());
    assert!(inner.latest(id, 0, 2500).is_none());
    drop(inner);
    assert_eq!(window(&store, id, (0, 3000)), [(1000, 1.0)]);
}

#[test]
fn the_second_tier_reaches_back_where_a_rule_asked_for_it() {
    let store = SeriesStore::new(Retention::default());
    store.keep_long(vec![vec![Matcher::equal("model", "a")]]);
    let long = store.register(&labels("up", "a"));
    let short = store.register(&labels("up", "b"));
    for tick in 0..4 * 360 {
        store.append_tick(tick * 10_000, &[(long, tick as f64), (short, tick as f64)]);
    }
    let hour = 3_600_000;
    let points = window(&store, long, (0, 4 * hour));
    assert_eq!(points[1].0 - points[0].0, 60_000);
    assert!(points.len() > 360 + 2 * 60);
    assert!(points.is_sorted_by(|a, b| a.0 < b.0), "no time twice");
    assert!(window(&store, short, (0, hour)).is_empty());
    assert!(store.read().latest(long, 0, hour).is_some());
}

#[test]
fn ranges_beyond_the_retention_are_refused_by_name() {
    let check = |text: &str| {
        let expr = parse(text, &ParseLimits::default()).unwrap();
        check_ranges(&expr, &Retention::default()).map(|long| long.len())
    };
    assert_eq!(check("rate(a[30m])"), Ok(0));
    assert_eq!(check("rate(a[5h]) / b"), Ok(1));
    assert_eq!(check("max_over_time(rate(a[1h] offset 1h)[3h:])"), Ok(1));
    let error = check("rate(a{b=\"c\"}[1d])").unwrap_err().to_string();
    assert_eq!(
        error,
        "a{b=\"c\"} looks back 86400s, but samples are kept for 21600s: raise `query.retention.coarse_time` or shorten the range"
    );
    assert!(check("max_over_time(a[4h:] offset 3h)").is_err());
}

#[test]
fn a_shift_moves_all_samples_and_changes_no_result() {
    let engine = crate::engine::Engine::default();
    for by_ms in [5_000, -5_000, 3_600_000, -3_600_000, 31_536_000_000] {
        let retention = Retention::default().with_time(Duration::from_mins(30));
        let stores = [SeriesStore::new(retention), SeriesStore::new(retention)];
        let mut offset = 0;
        for tick in 0..1_000_i64 {
            if tick == 500 {
                stores[1].shift(by_ms);
                offset = by_ms;
            }
            let now = 10_000_000_000 + tick * 10_000;
            for (store, now) in stores.iter().zip([now, now + offset]) {
                if tick == 0 {
                    store.keep_long(vec![vec![Matcher::equal("__name__", "up")]]);
                }
                let id = store.register(&labels("up", "a"));
                assert_eq!(store.append_tick(now, &[(id, (tick * 7 % 400) as f64)]), 1);
            }
            let values = stores.each_ref().map(|store| {
                let now = if std::ptr::eq(store, &raw const stores[1]) {
                    now + offset
                } else {
                    now
                };
                [
                    "rate(up[5m])",
                    "up offset 20m",
                    "count_over_time(up[2h])",
                    "time() - timestamp(up)",
                ]
                .map(|expr| engine.evaluate(store, expr, now).unwrap())
                .map(|result| match result.value {
                    crate::engine::Value::Vector(samples) => {
                        samples.first().map(|sample| sample.point.value)
                    }
                    _ => None,
                })
            });
            assert_eq!(values[0], values[1], "tick {tick}, shift {by_ms}");
        }
        assert_eq!(stores[0].stats(), stores[1].stats());
    }
}
