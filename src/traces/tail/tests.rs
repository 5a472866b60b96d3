//! Tests of the tail sampler.

use std::time::UNIX_EPOCH;

use opentelemetry::{
    InstrumentationScope, KeyValue, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::prelude::*;

use super::*;
use crate::traces::sampling::Ratio;

/// A span of a trace; the local root if `parent` is 0.
pub(in crate::traces) fn span(trace: u128, id: u64, parent: u64) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "step".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

pub(in crate::traces) fn with(
    mut span: SpanData,
    key: &'static str,
    value: impl Into<opentelemetry::Value>,
) -> SpanData {
    span.attributes.push(KeyValue::new(key, value));
    span
}

pub(in crate::traces) fn lasting(mut span: SpanData, seconds: f64) -> SpanData {
    span.end_time = UNIX_EPOCH + Duration::from_secs_f64(seconds);
    span
}

pub(in crate::traces) fn failed(mut span: SpanData) -> SpanData {
    span.status = Status::error("no");
    span
}

fn offer(sampler: &mut TailSampler, span: SpanData, now: Instant, decided: &mut Decided) {
    sampler.offer(Arc::new(span), now, decided);
}

/// A policy that keeps no trace by its ratio.
fn config() -> TailConfig {
    TailConfig::default().with_ratio(0.0)
}

fn sampler(config: &TailConfig) -> TailSampler {
    TailSampler::new(config, &Mapping::default())
}

/// Returns `true` if a trace of this child span and a root span is kept.
fn check(config: &TailConfig, child: SpanData, is_kept: bool) {
    let mut sampler = sampler(config);
    let (now, mut decided) = (Instant::now(), Decided::default());
    let shown = format!("{child:?}");
    offer(&mut sampler, child, now, &mut decided);
    assert!(decided.kept.is_empty(), "it waits for its root");
    offer(&mut sampler, span(1, 1, 0), now, &mut decided);
    let expected = if is_kept { (2, 0) } else { (0, 2) };
    assert_eq!(
        (decided.kept.len(), decided.sampled_out),
        expected,
        "{shown}"
    );
    assert_eq!((sampler.bytes, sampler.order.len()), (0, 0));
}

#[test]
fn traces_that_failed_were_slow_cost_much_or_have_the_attribute_are_kept() {
    let child = || span(1, 2, 1);
    let config = config()
        .with_slow("inference", Duration::from_secs(3))
        .with_cost_usd(0.5)
        .with_attribute("tier", "gold*");
    check(&config, child(), false);
    check(&config, failed(child()), true);
    check(
        &config,
        with(lasting(child(), 3.0), "gen_ai.operation.name", "chat"),
        true,
    );
    check(
        &config,
        with(lasting(child(), 2.9), "gen_ai.operation.name", "chat"),
        false,
    );
    check(
        &config,
        with(lasting(child(), 3.0), "observatory.kind", "inference"),
        true,
    );
    check(&config, lasting(child(), 60.0), false);
    let mut query = lasting(child(), 1.5);
    query.name = "db_query".into();
    check(&config, query, true);
    check(&config, with(child(), "cost_usd", 0.5), true);
    check(&config, with(child(), "cost_usd", f64::NAN), false);
    check(&config, with(child(), "tier", "golden"), true);
    check(&config, with(child(), "tier", "silver"), false);
    let mut quiet = config;
    quiet.keeps_errors = false;
    check(&quiet, failed(child()), false);
    quiet.slower_than = Some(Duration::from_secs(1));
    check(&quiet, lasting(child(), 1.0), true);
}

#[test]
fn costs_of_spans_are_added_up() {
    let mut sampler = sampler(&config().with_cost_usd(1.0));
    let (now, mut decided) = (Instant::now(), Decided::default());
    for id in 2..=4 {
        offer(
            &mut sampler,
            with(span(1, id, 1), "cost_usd", 0.4),
            now,
            &mut decided,
        );
    }
    offer(&mut sampler, span(1, 1, 0), now, &mut decided);
    assert_eq!(decided.kept.len(), 4);
}

#[test]
fn a_share_of_the_rest_is_drawn_by_the_trace_s_id_whatever_was_drawn_before() {
    for head in [1.0, 0.1, 0.01] {
        let head = Ratio::new(head);
        let ids: Vec<u128> = (0..10_000).map(|_| head.trace_id(true)).collect();
        let kept = || {
            let mut sampler = sampler(&config().with_ratio(0.1));
            let (now, mut decided) = (Instant::now(), Decided::default());
            for id in &ids {
                offer(&mut sampler, span(*id, 1, 0), now, &mut decided);
            }
            decided.kept
        };
        let (here, elsewhere) = (kept(), kept());
        assert!((800..1_200).contains(&here.len()), "{}", here.len());
        let same = |(a, b): (&Arc<SpanData>, &Arc<SpanData>)| a.span_context == b.span_context;
        assert!(here.len() == elsewhere.len() && here.iter().zip(&elsewhere).all(same));
    }
}

#[test]
fn late_spans_follow_the_decision() {
    let mut sampler = sampler(&config());
    let (now, mut decided) = (Instant::now(), Decided::default());
    offer(&mut sampler, failed(span(1, 1, 0)), now, &mut decided);
    offer(&mut sampler, span(2, 1, 0), now, &mut decided);
    assert_eq!((decided.kept.len(), decided.sampled_out), (1, 1));
    offer(&mut sampler, span(1, 2, 1), now, &mut decided);
    offer(&mut sampler, failed(span(2, 2, 1)), now, &mut decided);
    sampler.expire(now + Duration::from_mins(2), &mut decided);
    assert_eq!((decided.kept.len(), decided.sampled_out), (2, 2));
}

#[test]
fn a_trace_that_calls_again_is_decided_again_unless_it_is_kept() {
    let mut sampler = sampler(&config());
    let (now, mut decided) = (Instant::now(), Decided::default());
    let mut call = |id: u64, is_failed: bool, decided: &mut Decided| {
        offer(&mut sampler, span(1, id, id + 1), now, decided);
        let mut root = span(1, id + 1, 77);
        root.parent_span_is_remote = true;
        let root = if is_failed { failed(root) } else { root };
        offer(&mut sampler, root, now, decided);
    };
    call(1, false, &mut decided);
    call(3, false, &mut decided);
    assert_eq!((decided.kept.len(), decided.sampled_out), (0, 4));
    call(5, true, &mut decided);
    call(7, false, &mut decided);
    assert_eq!((decided.kept.len(), decided.sampled_out), (4, 4));
}

#[test]
fn late_spans_of_an_evicted_trace_are_overflow_too() {
    let mut sampler = sampler(&config().with_bounds(Duration::MAX, 1));
    let (now, mut decided) = (Instant::now(), Decided::default());
    for id in 2..4 {
        offer(&mut sampler, span(1, id, 1), now, &mut decided);
    }
    assert_eq!((decided.overflowed, decided.sampled_out), (2, 0));
}

#[test]
fn fields_of_other_names_tell_a_kind_too() {
    let mapping = Mapping::default().with_field("op", "gen_ai.operation.name");
    let mut sampler = TailSampler::new(&config(), &mapping);
    let mut decided = Decided::default();
    let slow = with(lasting(span(1, 1, 0), 10.0), "op", "chat");
    offer(&mut sampler, slow, Instant::now(), &mut decided);
    assert_eq!(decided.kept.len(), 1);
}

#[test]
fn a_parent_elsewhere_makes_a_local_root() {
    let mut sampler = sampler(&config());
    let mut decided = Decided::default();
    let mut root = failed(span(1, 1, 7));
    root.parent_span_is_remote = true;
    offer(&mut sampler, root, Instant::now(), &mut decided);
    assert_eq!(decided.kept.len(), 1);
}

#[test]
fn a_trace_waits_no_longer_than_it_may() {
    let mut sampler = sampler(&config());
    let (now, mut decided) = (Instant::now(), Decided::default());
    offer(&mut sampler, failed(span(1, 2, 1)), now, &mut decided);
    offer(&mut sampler, span(2, 2, 1), now, &mut decided);
    sampler.expire(now + Duration::from_secs(119), &mut decided);
    assert_eq!(decided.kept.len() + decided.sampled_out, 0);
    sampler.expire(now + Duration::from_mins(2), &mut decided);
    assert_eq!((decided.kept.len(), decided.sampled_out), (1, 1));
    assert_eq!(sampler.bytes, 0);
}

#[test]
fn without_room_the_oldest_goes_and_is_counted_unless_it_is_wanted() {
    let mut sampler = sampler(&config().with_bounds(Duration::from_mins(1), 4_096));
    let (now, mut decided) = (Instant::now(), Decided::default());
    offer(&mut sampler, failed(span(1, 2, 1)), now, &mut decided);
    for trace in 2..1_000 {
        offer(&mut sampler, span(trace, 2, 1), now, &mut decided);
        assert!(sampler.bytes <= 4_096);
    }
    assert_eq!(decided.kept.len(), 1);
    assert!(decided.overflowed > 900 && decided.sampled_out == 0);
    assert_eq!(1 + decided.overflowed + sampler.traces.len(), 999);
}

proptest! {
    /// Every span is kept, sampled out, or counted as overflow, once.
    #[test]
    fn every_span_is_accounted_for(
        offered in prop::collection::vec((0_u128..20, 0_u64..4, any::<bool>(), 0_u64..90), 0..300),
        bytes in 500_usize..20_000,
        decisions in 1_usize..10,
    ) {
        let mut config = config().with_ratio(0.5).with_bounds(Duration::from_secs(30), bytes);
        config.decisions = decisions;
        let mut sampler = sampler(&config);
        let (mut now, mut decided, count) = (Instant::now(), Decided::default(), offered.len());
        for (trace, parent, is_failed, pause) in offered {
            let span = span(trace << 60 | trace, 9, parent);
            offer(&mut sampler, if is_failed { failed(span) } else { span }, now, &mut decided);
            prop_assert!(sampler.bytes <= bytes);
            now += Duration::from_secs(pause);
            sampler.expire(now, &mut decided);
        }
        sampler.finish(&mut decided);
        prop_assert_eq!(decided.kept.len() + decided.sampled_out + decided.overflowed, count);
        prop_assert_eq!((sampler.bytes, sampler.traces.len(), sampler.order.len()), (0, 0, 0));
    }
}
