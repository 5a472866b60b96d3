//! Executes the tests of a file.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use super::file::{AlertTest, ExprTest, Milliseconds, TestFile, TestGroup};
use super::series;
use crate::alerting::rule::{duration, load_rule_file};
use crate::alerting::{AlertState, RuleGroups, RuleOptions, Source};
use crate::query::Labels;
use crate::query::engine::{Engine, EngineOptions, Value, format_number};
use crate::query::store::{Retention, SeriesStore};

/// The labels and annotations of an alert.
type AlertContent = (BTreeMap<String, String>, BTreeMap<String, String>);

pub(super) fn run(file: &TestFile, engine: &EngineOptions) -> Vec<String> {
    let mut engine = engine.clone();
    engine.subquery_step = duration::from_milliseconds(file.evaluation_interval.0);
    let engine = Engine::new(engine);
    let tests = file.tests.iter();
    tests
        .flat_map(|test| TestRun::new(file, test, &engine).map_or_else(|e| vec![e], TestRun::run))
        .collect()
}

/// A test group during its execution.
struct TestRun<'a> {
    file: &'a TestFile,
    test: &'a TestGroup,
    engine: &'a Engine,
    rules: RuleGroups,
    store: SeriesStore,
    /// Samples in the order of their times, and the number of samples that were appended to the store.
    samples: Vec<(i64, Labels, f64)>,
    appended: usize,
}

impl<'a> TestRun<'a> {
    fn new(file: &'a TestFile, test: &'a TestGroup, engine: &'a Engine) -> Result<Self, String> {
        let mut options = RuleOptions::default()
            .with_limit(usize::MAX)
            .with_external_url(test.external_url.clone());
        options.external_labels.clone_from(&test.external_labels);
        let mut rules = RuleGroups::new(options);
        for path in &file.rule_paths {
            let indent = |error: crate::alerting::RuleErrors| format!("  {error}");
            let groups = load_rule_file(path).map_err(indent)?;
            rules
                .load_unbounded(&path.display().to_string(), groups, engine)
                .map_err(indent)?;
        }
        let order: HashMap<&str, usize> = file
            .group_eval_order
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), at))
            .collect();
        rules.sort_groups(|name| order.get(name).copied().unwrap_or(0));
        let step = if test.interval.0 == 0 {
            file.evaluation_interval.0
        } else {
            test.interval.0
        };
        let limits = &engine.options().parse;
        let mut samples = Vec::new();
        for input in &test.input_series {
            let labels = series::labels(&input.series, limits).map_err(|e| format!("    {e}"))?;
            let values =
                series::values(&input.values).map_err(|e| format!("    {}: {e}", input.series))?;
            for (at, value) in values.into_iter().enumerate() {
                let at = i64::try_from(at).unwrap_or(i64::MAX).saturating_mul(step);
                samples.extend(value.map(|value| (at, labels.clone(), value)));
            }
        }
        samples.sort_by_key(|sample| sample.0);
        let retention = Retention::default()
            .with_time(Duration::from_hours(24 * 365 * 100))
            .with_bytes(1 << 30)
            .with_coarse_time(Duration::ZERO);
        Ok(Self {
            file,
            test,
            engine,
            rules,
            store: SeriesStore::new(retention),
            samples,
            appended: 0,
        })
    }

    fn run(mut self) -> Vec<String> {
        if let Some(test) = self
            .test
            .alert_rule_test
            .iter()
            .find(|t| t.alertname.is_empty())
        {
            let at = duration_text(test.eval_time);
            return vec![format!(
                "    an item under alert_rule_test misses required attribute alertname at eval_time {at}{}",
                self.in_group()
            )];
        }
        let mut failures = Vec::new();
        let interval = self.file.evaluation_interval.0;
        let times = self.test.alert_rule_test.iter().map(|t| t.eval_time);
        let last = times
            .chain(self.test.promql_expr_test.iter().map(|t| t.eval_time))
            .max()
            .unwrap_or_default();
        let mut now = 0;
        while now <= last.0 {
            self.append_until(now);
            let source = Source::new(self.engine, &self.store);
            let evaluation = self.rules.evaluate_all(&source, now);
            if !evaluation.failures.is_empty() {
                let at = duration_text(Milliseconds(now));
                failures.extend(evaluation.failures.iter().map(|failure| {
                    format!(
                        "    rule: {}, time: {at}, err: {}",
                        failure.rule, failure.error
                    )
                }));
                return failures;
            }
            let until = now.saturating_add(interval);
            let mut due: Vec<&AlertTest> = self
                .test
                .alert_rule_test
                .iter()
                .filter(|test| (now..until).contains(&test.eval_time.0))
                .collect();
            due.sort_by_key(|test| test.eval_time);
            failures.extend(due.into_iter().filter_map(|test| self.check_alerts(test)));
            now = until;
        }
        let tests = self.test.promql_expr_test.iter();
        failures.extend(tests.filter_map(|test| self.check_expr(test)));
        failures
    }

    fn append_until(&mut self, until: i64) {
        while let Some((at, labels, value)) = self.samples.get(self.appended)
            && *at <= until
        {
            self.store.append(labels, *at, *value);
            self.appended += 1;
        }
    }

    fn in_group(&self) -> String {
        if self.test.name.is_empty() {
            String::new()
        } else {
            format!(" (in TestGroup {})", self.test.name)
        }
    }

    fn check_alerts(&self, test: &AlertTest) -> Option<String> {
        let firing = self.rules.alerts().into_iter().filter(|alert| {
            alert.state == AlertState::Firing
                && alert.labels.get("alertname") == Some(&test.alertname)
        });
        let mut got: Vec<AlertContent> =
            firing.map(|a| (map_of(&a.labels), a.annotations)).collect();
        let expected = test.exp_alerts.iter().flatten().map(|alert| {
            let mut labels = alert.exp_labels.clone().unwrap_or_default();
            labels.insert("alertname".to_owned(), test.alertname.clone());
            (labels, alert.exp_annotations.clone().unwrap_or_default())
        });
        let mut expected: Vec<AlertContent> = expected.collect();
        got.sort_unstable();
        expected.sort_unstable();
        if got == expected {
            return None;
        }
        let mut out = self.name_line();
        let at = duration_text(test.eval_time);
        let _ = writeln!(out, "    alertname: {}, time: {at},", test.alertname);
        let _ = write!(out, "{}", difference(&expected, &got));
        Some(out)
    }

    fn name_line(&self) -> String {
        if self.test.name.is_empty() {
            String::new()
        } else {
            format!("    name: {},\n", self.test.name)
        }
    }

    fn check_expr(&self, test: &ExprTest) -> Option<String> {
        let at = duration_text(test.eval_time);
        let head = format!("{}    expr: {:?}, time: {at},", self.name_line(), test.expr);
        let mut got = match self.query(test) {
            Ok(got) => got,
            Err(error) => return Some(format!("{head} err: {error}")),
        };
        let mut expected = Vec::new();
        for sample in test.exp_samples.iter().flatten() {
            match series::labels(&sample.labels, &self.engine.options().parse) {
                Ok(labels) => expected.push((labels, sample.value)),
                Err(error) => return Some(format!("{head} err: {error}")),
            }
        }
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let is_same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(got, expected)| {
                got.0 == expected.0 && self.is_same_value(got.1, expected.1)
            });
        let list = |samples: &[(Labels, f64)]| {
            let lines = samples
                .iter()
                .map(|(labels, value)| format!("{labels} {}", format_number(*value)));
            let lines: Vec<_> = lines.collect();
            if lines.is_empty() {
                "nothing".to_owned()
            } else {
                lines.join(", ")
            }
        };
        (!is_same).then(|| {
            format!(
                "{head}\n        exp: {}\n        got: {}",
                list(&expected),
                list(&got)
            )
        })
    }

    #[expect(clippy::float_cmp, reason = "as promtool compares, NaN included")]
    fn is_same_value(&self, got: f64, expected: f64) -> bool {
        got == expected
            || self.file.fuzzy_compare && (got.next_up() == expected || got.next_down() == expected)
    }

    fn query(&self, test: &ExprTest) -> Result<Vec<(Labels, f64)>, String> {
        let result = self
            .engine
            .evaluate(&self.store, &test.expr, test.eval_time.0);
        match result.map_err(|error| error.to_string())?.value {
            Value::Vector(samples) => {
                let samples = samples.into_iter();
                Ok(samples.map(|s| (s.labels, s.point.value)).collect())
            }
            Value::Scalar(point) => Ok(vec![(Labels::empty(), point.value)]),
            Value::Matrix(_) | Value::String(..) => {
                Err("rule result is not a vector or scalar".to_owned())
            }
        }
    }
}

fn duration_text(milliseconds: Milliseconds) -> String {
    duration::format(duration::from_milliseconds(milliseconds.0))
}

fn map_of(labels: &Labels) -> BTreeMap<String, String> {
    let pairs = labels.iter();
    pairs
        .map(|l| (l.name().to_owned(), l.value().to_owned()))
        .collect()
}

/// Lists the missing and the unexpected alerts, and counts the equal ones.
fn difference(expected: &[AlertContent], got: &[AlertContent]) -> String {
    let mut out = String::new();
    let mut unexpected: Vec<&AlertContent> = got.iter().collect();
    let mut missing = Vec::new();
    for alert in expected {
        match unexpected.iter().position(|other| *other == alert) {
            Some(at) => {
                unexpected.remove(at);
            }
            None => missing.push(alert),
        }
    }
    let same = expected.len() - missing.len();
    if same > 0 {
        let _ = writeln!(out, "        as expected: {same}");
    }
    for (word, list) in [("exp", missing), ("got", unexpected)] {
        if list.is_empty() {
            let _ = writeln!(out, "        {word}: nothing else");
        }
        for (labels, annotations) in list {
            let _ = writeln!(out, "        {word}: labels {labels:?}");
            let _ = writeln!(out, "             annotations {annotations:?}");
        }
    }
    out.truncate(out.trim_end().len());
    out
}
