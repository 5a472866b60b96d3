//! Tests the notation of series; `tests/alerting` compares results with promtool's.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use super::series::{labels, values};
use crate::query::engine::syntax::ParseLimits;

fn check(text: &str, expected: &[f64]) {
    let found: Vec<_> = values(text)
        .unwrap()
        .into_iter()
        .map(|v| v.unwrap_or(-99.0))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn values_expand_as_promtool_expands_them() {
    check("1 2 -3", &[1.0, 2.0, -3.0]);
    check("1x3", &[1.0, 1.0, 1.0, 1.0]);
    check("0x2", &[0.0, 0.0, 0.0]);
    check("1+2x2", &[1.0, 3.0, 5.0]);
    check("-2+4x2", &[-2.0, 2.0, 6.0]);
    check("1-0.5x1", &[1.0, 0.5]);
    check("1e3-1e-1x0", &[1000.0]);
    check("_ _x2 1", &[-99.0, -99.0, -99.0, 1.0]);
    check("Inf", &[f64::INFINITY]);
    check("", &[]);
    assert!(
        values("NaN stale")
            .unwrap()
            .iter()
            .all(|v| v.unwrap().is_nan())
    );
}

#[test]
fn an_invalid_value_is_rejected() {
    for text in [
        "one",
        "1x",
        "x3",
        "1+1",
        "1x-3",
        "1x99999999",
        "1+x2",
        "_x",
        "1,2",
        "{{schema:1}}",
        "infinity",
    ] {
        assert!(values(text).is_err(), "{text}");
    }
}

#[test]
fn a_series_is_parsed_into_its_name_and_labels() {
    let limits = ParseLimits::default();
    let text = |series: &str| labels(series, &limits).unwrap().to_string();
    assert_eq!(text("up"), r#"{__name__="up"}"#);
    assert_eq!(text(r#" up{b="1",a=""} "#), r#"{__name__="up", b="1"}"#);
    assert_eq!(text("{}"), "{}");
    for series in [
        r#"up{a=~"b"}"#,
        "up[5m]",
        "up offset 5m",
        "sum(up)",
        "1",
        "",
    ] {
        assert!(labels(series, &limits).is_err(), "{series}");
    }
}
