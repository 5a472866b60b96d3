use super::*;
use crate::{query::Labels, runtime::unix_ms::UnixMs};

const HOUR: i64 = 3_600_000;

fn at(ms: i64) -> UnixMs {
    UnixMs::from_i64(ms)
}

fn request() -> SilenceRequest {
    SilenceRequest::until(2 * HOUR, "model_id=llama").because("ada", "replacing a GPU")
}

fn llama() -> Labels {
    Labels::from_pairs([("alertname", "slow"), ("model_id", "llama")])
}

#[test]
fn a_silence_is_pending_then_active_then_expired_and_removed_after_five_days() {
    let mut silences = Silences::default();
    let request = SilenceRequest {
        starts_at: HOUR,
        ..request()
    };
    silences.set(request, "1".to_owned(), at(0)).unwrap();
    for (now, state, mutes) in [
        (HOUR - 1, SilenceState::Pending, false),
        (HOUR, SilenceState::Active, true),
        (2 * HOUR - 1, SilenceState::Active, true),
        (2 * HOUR, SilenceState::Expired, false),
    ] {
        assert_eq!(silences.get("1").unwrap().state_at(now), state, "{now}");
        assert_eq!(
            silences.silenced_by(&llama(), at(now)).is_some(),
            mutes,
            "{now}"
        );
    }
    let kept_until = at(2 * HOUR) + RETENTION;
    assert!(silences.collect_garbage(kept_until).is_empty());
    let later = kept_until + Duration::from_millis(1);
    assert_eq!(silences.collect_garbage(later), ["1"]);
}

#[test]
fn only_the_end_of_an_active_silence_changes_in_place() {
    let mut silences = Silences::default();
    silences.set(request(), "1".to_owned(), at(10)).unwrap();
    let longer = SilenceRequest {
        id: Some("1".to_owned()),
        starts_at: 10,
        ends_at: 3 * HOUR,
        ..request()
    };
    assert_eq!(
        silences
            .set(longer.clone(), "2".to_owned(), at(20))
            .unwrap(),
        "1"
    );
    let other = SilenceRequest {
        matchers: vec!["model_id=gpt".to_owned()],
        ..longer
    };
    assert_eq!(silences.set(other, "2".to_owned(), at(30)).unwrap(), "2");
    assert_eq!(
        silences.get("1").unwrap().state_at(30),
        SilenceState::Expired
    );
    assert_eq!(silences.get("2").unwrap().starts_at, 30);
    assert_eq!(silences.silenced_by(&llama(), at(40)), None);
}

#[test]
fn an_expired_silence_cannot_expire_again() {
    let mut silences = Silences::default();
    silences.set(request(), "1".to_owned(), at(0)).unwrap();
    silences.expire("1", at(5)).unwrap();
    assert!(matches!(
        silences.expire("1", at(6)),
        Err(SilenceError::Expired(_))
    ));
    assert!(matches!(
        silences.expire("7", at(6)),
        Err(SilenceError::NotFound(_))
    ));
}

#[test]
fn an_incomplete_request_is_rejected() {
    let mut silences = Silences::default();
    let mut set = |request| silences.set(request, "1".to_owned(), at(HOUR)).unwrap_err();
    let with_matchers =
        |matchers: &str| SilenceRequest::until(2 * HOUR, matchers).because("a", "b");
    assert!(matches!(
        set(with_matchers("model_id=~\".*\"")),
        SilenceError::MatchesEverything
    ));
    assert!(matches!(
        set(with_matchers("model_id")),
        SilenceError::Matcher(_)
    ));
    let anonymous = SilenceRequest::until(2 * HOUR, "a=b").because("", "why");
    assert!(matches!(set(anonymous), SilenceError::Empty("created_by")));
    let past = SilenceRequest::until(HOUR, "a=b").because("a", "b");
    assert!(matches!(set(past), SilenceError::EndsTooEarly));
}

#[test]
fn a_step_backwards_neither_suspends_an_active_silence_nor_reopens_an_ended_one() {
    for (by_ms, active) in [(-HOUR, vec!["active"]), (HOUR, vec!["pending"])] {
        let mut silences = Silences::default();
        for (id, starts_at, ends_at) in [
            ("ended", 0, HOUR),
            ("active", 5 * HOUR, 6 * HOUR + 1),
            ("pending", 6 * HOUR + 1, 9 * HOUR),
        ] {
            let request = SilenceRequest {
                starts_at,
                ends_at,
                ..request()
            };
            silences.set(request, id.to_owned(), at(0)).unwrap();
        }
        silences.shift(by_ms, at(6 * HOUR));
        let now = 6 * HOUR + by_ms;
        let all = silences.list(at(now)).into_iter();
        let found = all.filter(|silence| silence.state_at(now) == SilenceState::Active);
        let ids: Vec<_> = found.map(|silence| silence.id).collect();
        assert_eq!(ids, active, "{by_ms} ms");
        assert_eq!(silences.get("active").unwrap().ends_at, 6 * HOUR + 1);
        assert_eq!(silences.get("pending").unwrap().starts_at, 6 * HOUR + 1);
        assert_eq!(
            silences.get("ended").unwrap().state_at(now),
            SilenceState::Expired
        );
    }
}
