//! Tests ten thousand concurrent alerts.

use llm_observatory::alerting::{AlertRule, AlertState, RuleGroup, RuleGroups, Severity, Source};
use llm_observatory::query::Labels;
use llm_observatory::query::engine::Engine;
use llm_observatory::query::store::SeriesStore;

const ALERTS: usize = 10_000;

fn rules(engine: &Engine, store: &SeriesStore) -> RuleGroups {
    let rule = AlertRule::new("storm")
        .severity(Severity::Critical)
        .expr("load > 0.5")
        .annotation(
            "summary",
            "{{ $labels.model_id }} is at {{ $value | humanizePercentage }}",
        )
        .annotation(
            "description",
            "Model {{ $labels.model_id }} of {{ $labels.job }}",
        );
    let mut groups = RuleGroups::default();
    let group = RuleGroup::new("g").rule(rule);
    groups
        .load("r", vec![group], &Source::new(engine, store), 0)
        .unwrap();
    groups
}

fn feed(store: &SeriesStore, now: i64, load: f64) {
    for at in 0..ALERTS {
        let model = format!("model-{at}");
        let labels = [
            ("__name__", "load"),
            ("job", "router"),
            ("model_id", model.as_str()),
        ];
        store.append(&Labels::from_pairs(labels), now, load);
    }
}

/// The bench measures the time of a round: `cargo run --release -p llm-observatory-benches -- storm`.
#[test]
fn ten_thousand_alerts_fire_are_notified_and_resolve() {
    let engine = Engine::default();
    let store = SeriesStore::default();
    let mut groups = rules(&engine, &store);
    for round in 0..3 {
        let now = round * 60_001;
        feed(&store, now, 0.9);
        let evaluation = groups.evaluate_all(&Source::new(&engine, &store), now);
        assert_eq!(evaluation.alerts.len(), ALERTS);
    }
    assert_eq!(groups.alerts().len(), ALERTS);
    assert_eq!(groups.count(AlertState::Firing), ALERTS);
    assert!(store.stats().bytes < 64 << 20, "{:?}", store.stats());
    let now = 3 * 60_001;
    feed(&store, now, 0.1);
    let evaluation = groups.evaluate_all(&Source::new(&engine, &store), now);
    let over = evaluation.alerts.iter().filter(|a| a.is_resolved_at(now));
    assert_eq!(over.count(), ALERTS);
}

#[test]
fn a_rule_has_no_more_alerts_than_its_limit() {
    let engine = Engine::default();
    let store = SeriesStore::default();
    feed(&store, 0, 0.9);
    let group = RuleGroup::new("g")
        .limit(100)
        .rule(AlertRule::new("storm").expr("load > 0.5"));
    let mut groups = RuleGroups::default();
    groups
        .load("r", vec![group], &Source::new(&engine, &store), 0)
        .unwrap();
    let evaluation = groups.evaluate_all(&Source::new(&engine, &store), 0);
    assert_eq!(
        evaluation.failures[0].error,
        "exceeded limit of 100 with 10000 alerts"
    );
    assert_eq!(groups.count(AlertState::Firing), 0);
}
