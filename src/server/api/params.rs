//! Parses the parameters of a request, from the URL's query and from a form in the body.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
    response::Response,
};

use super::answer::{self, ApiError};
use crate::query::{
    Matcher,
    engine::syntax::{ExprKind, ParseLimits, TimeShift, parse, parse_duration},
};

/// Prometheus's names for the minimum and the maximum time.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";
/// The maximum magnitude of times and durations in milliseconds, as in Go.
const MAX_MILLISECONDS: f64 = 9.2e15;

/// All parameters in their order. A name may occur several times.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = |bytes: &[u8]| -> Vec<(String, String)> {
            form_urlencoded::parse(bytes).into_owned().collect()
        };
        let of_path = read(request.uri().query().unwrap_or_default().as_bytes());
        let has_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if !has_form {
            return Ok(Self(of_path));
        }
        let body = Bytes::from_request(request, state).await.map_err(|error| {
            answer::error(&ApiError::bad_data(format!(
                "error parsing form values: {error}"
            )))
        })?;
        // As in Go's `Form`, the values of the body come first.
        let mut all = read(&body);
        all.extend(of_path);
        Ok(Self(all))
    }
}

impl Params {
    /// Returns the first value of a parameter. An empty value counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    pub(super) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let of_name = self.0.iter().filter(move |(key, _)| key == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// Returns the query. As in Prometheus, an absent query is the empty query, which is an error.
    pub(super) fn query(&self) -> &str {
        self.get("query").unwrap_or_default()
    }

    /// Parses a time in seconds or RFC 3339; returns milliseconds since the epoch.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let time = match text {
            MIN_TIME => Some(i64::MIN / 2),
            MAX_TIME => Some(i64::MAX / 2),
            text => seconds(text).or_else(|| {
                let time: jiff::Timestamp = text.parse().ok()?;
                Some(time.as_millisecond())
            }),
        };
        let fault = || {
            ApiError::parameter(
                name,
                format_args!("cannot parse {text:?} to a valid timestamp"),
            )
        };
        time.map(Some).ok_or_else(fault)
    }

    /// Parses a time that is required.
    pub(super) fn required_time(&self, name: &str) -> Result<i64, ApiError> {
        let missing = || ApiError::parameter(name, "cannot parse \"\" to a valid timestamp");
        self.time(name)?.ok_or_else(missing)
    }

    /// Parses a duration in seconds or in the form `1h30m`; returns milliseconds.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let duration = seconds(text).or_else(|| parse_duration(text).ok());
        let fault = || {
            ApiError::parameter(
                name,
                format_args!("cannot parse {text:?} to a valid duration"),
            )
        };
        duration.map(Some).ok_or_else(fault)
    }

    /// Returns the time limit of the query: `timeout`, but at most `max`.
    pub(super) fn timeout(&self, max: Duration) -> Result<Duration, ApiError> {
        let requested = self.duration("timeout")?;
        let requested =
            requested.map(|timeout| Duration::from_millis(timeout.max(0).unsigned_abs()));
        Ok(requested.map_or(max, |timeout| timeout.min(max)))
    }

    /// Returns the maximum number of results, from `limit`; 0 means no limit.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else {
            return Ok(usize::MAX);
        };
        match text.parse::<usize>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) => Ok(limit),
            Err(_) => Err(ApiError::parameter(
                "limit",
                format_args!("{text:?} is not a whole number of 0 or more"),
            )),
        }
    }

    /// Parses the series selectors of `match[]`. A series must match at least one of them.
    pub(super) fn matchers(&self, limits: &ParseLimits) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let texts = self.all("match[]");
        texts.map(|text| matchers(text, limits)).collect()
    }
}

/// Parses a series selector.
fn matchers(text: &str, limits: &ParseLimits) -> Result<Vec<Matcher>, ApiError> {
    let expr = parse(text, limits).map_err(|error| ApiError::parameter("match[]", error))?;
    match expr.kind {
        ExprKind::Selector(selector) if selector.shift == TimeShift::default() => {
            Ok(selector.matchers)
        }
        _ => Err(ApiError::parameter(
            "match[]",
            format_args!("{text:?} is not a series selector"),
        )),
    }
}

/// Converts seconds to milliseconds.
fn seconds(text: &str) -> Option<i64> {
    let milliseconds = text.parse::<f64>().ok()? * 1e3;
    (milliseconds.abs() <= MAX_MILLISECONDS).then(|| milliseconds.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Params(pairs.iter().map(pair).collect())
    }

    #[test]
    fn times_and_durations_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("1435781451.781", Some(1_435_781_451_781)),
            ("0", Some(0)),
            ("-1", Some(-1_000)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("NaN", None),
            ("Inf", None),
            ("1e300", None),
            ("yesterday", None),
        ] {
            let found = params(&[("time", text)]).time("time");
            assert_eq!(found.ok(), expected.map(Some), "{text}");
        }
        for (text, expected) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("1m1h", None),
            ("m", None),
        ] {
            let found = params(&[("step", text)]).duration("step");
            assert_eq!(found.ok(), expected.map(Some), "{text}");
        }
    }

    #[test]
    fn an_invalid_value_is_named_with_its_parameter() {
        let error = params(&[("start", "tomorrow")]).required_time("start");
        let error = format!("{:?}", error.unwrap_err());
        assert!(
            error.contains("start") && error.contains("tomorrow"),
            "{error}"
        );
        let limits = ParseLimits::default();
        let is_refused = |text, limits| params(&[("match[]", text)]).matchers(limits).is_err();
        assert!(is_refused("rate(a[5m])", &limits));
        assert!(is_refused("a offset 5m", &limits));
        let short = ParseLimits {
            length_bytes: 4,
            ..limits
        };
        assert!(!is_refused("abcd", &short));
        assert!(is_refused("abcde", &short));
        assert!(params(&[("limit", "-1")]).limit().is_err());
        assert_eq!(params(&[("limit", "0")]).limit().ok(), Some(usize::MAX));
    }

    #[test]
    fn a_timeout_can_only_be_shortened() {
        let max = Duration::from_secs(10);
        let timeout = |text| params(&[("timeout", text)]).timeout(max).unwrap();
        assert_eq!(timeout("2s"), Duration::from_secs(2));
        assert_eq!(timeout("1h"), max);
        assert_eq!(timeout(""), max);
    }
}
