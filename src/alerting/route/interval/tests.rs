use jiff::Timestamp;

use super::*;

fn spec(key: &str, ranges: &[&str]) -> IntervalSpec {
    let ranges = ranges.iter().map(|range| (*range).to_owned()).collect();
    let mut spec = IntervalSpec::default();
    match key {
        "weekdays" => spec.weekdays = ranges,
        "days_of_month" => spec.days_of_month = ranges,
        "months" => spec.months = ranges,
        "years" => spec.years = ranges,
        _ => panic!("{key}"),
    }
    spec
}

fn times(start: &str, end: &str) -> IntervalSpec {
    IntervalSpec {
        times: vec![TimeRange {
            start_time: start.to_owned(),
            end_time: end.to_owned(),
        }],
        ..IntervalSpec::default()
    }
}

#[track_caller]
fn check(spec: &IntervalSpec, inside: &[&str], outside: &[&str]) {
    let interval = Interval::new("test", spec).unwrap();
    let ms = |text: &str| UnixMs::from_i64(text.parse::<Timestamp>().unwrap().as_millisecond());
    for moment in inside {
        assert!(interval.contains(ms(moment)), "{moment} is inside");
    }
    for moment in outside {
        assert!(!interval.contains(ms(moment)), "{moment} is outside");
    }
}

#[test]
fn a_time_range_begins_with_its_start_and_ends_before_its_end() {
    check(
        &times("09:00", "17:00"),
        &["2026-11-24T09:00:00Z", "2026-11-24T16:59:59Z"],
        &["2026-11-24T08:59:59Z", "2026-11-24T17:00:00Z"],
    );
    check(
        &times("23:59", "24:00"),
        &["2026-11-24T23:59:59Z"],
        &["2026-11-25T00:00:00Z"],
    );
}

#[test]
fn weekdays_begin_on_sunday() {
    check(
        &spec("weekdays", &["Monday:Friday"]),
        &["2026-11-23T00:00:00Z", "2026-11-27T23:59:00Z"],
        &["2026-11-22T23:59:00Z", "2026-11-28T00:00:00Z"],
    );
    assert!(Interval::new("test", &spec("weekdays", &["saturday:sunday"])).is_err());
}

#[test]
fn negative_days_count_from_the_months_end() {
    check(
        &spec("days_of_month", &["-3:-1"]),
        &[
            "2026-02-26T00:00:00Z",
            "2026-02-28T12:00:00Z",
            "2028-02-29T00:00:00Z",
            "2026-11-28T00:00:00Z",
        ],
        &[
            "2026-02-25T23:00:00Z",
            "2026-11-27T00:00:00Z",
            "2026-03-01T00:00:00Z",
        ],
    );
    check(
        &spec("days_of_month", &["29:31"]),
        &["2028-02-29T00:00:00Z", "2026-11-30T00:00:00Z"],
        &["2026-02-28T00:00:00Z", "2026-12-01T00:00:00Z"],
    );
}

#[test]
fn months_have_names_and_numbers_and_years_are_ranges() {
    check(
        &spec("months", &["may:august", "12"]),
        &[
            "2026-05-01T00:00:00Z",
            "2026-08-31T00:00:00Z",
            "2026-12-01T00:00:00Z",
        ],
        &["2026-04-30T00:00:00Z", "2026-09-01T00:00:00Z"],
    );
    check(
        &spec("years", &["2026:2027"]),
        &["2027-12-31T23:59:59Z"],
        &["2028-01-01T00:00:00Z"],
    );
}

#[test]
fn a_location_applies_its_time_zone_and_daylight_saving_time() {
    let mut spec = times("09:00", "10:00");
    spec.location = Some("Europe/Berlin".to_owned());
    check(
        &spec,
        &["2026-01-15T08:30:00Z", "2026-07-15T07:30:00Z"],
        &["2026-01-15T09:30:00Z", "2026-07-15T08:30:00Z"],
    );
}

#[test]
fn a_time_must_be_in_every_list() {
    let mut spec = times("09:00", "17:00");
    spec.weekdays = vec!["monday".to_owned()];
    check(
        &spec,
        &["2026-11-23T10:00:00Z"],
        &["2026-11-23T08:00:00Z", "2026-11-24T10:00:00Z"],
    );
}

#[test]
fn an_interval_that_never_applies_is_rejected_with_its_key() {
    for (spec, key) in [
        (times("17:00", "09:00"), "times"),
        (times("9:00", "17:00"), "times"),
        (times("09:00", "24:01"), "times"),
        (spec("weekdays", &["funday"]), "weekdays"),
        (spec("days_of_month", &["0"]), "days_of_month"),
        (spec("days_of_month", &["32"]), "days_of_month"),
        (spec("days_of_month", &["-1:5"]), "days_of_month"),
        (spec("days_of_month", &["30:-28"]), "days_of_month"),
        (spec("months", &["13"]), "months"),
        (spec("months", &["may:april"]), "months"),
        (spec("years", &["2027:2026"]), "years"),
    ] {
        let error = Interval::new("office", &spec).unwrap_err();
        assert_eq!(error.key, key);
        assert_eq!(error.place, r#"time interval "office""#);
    }
}
