//! Evaluates an alert rule and collects the alerts to be sent.

use std::{borrow::Cow, sync::Arc};

use super::group::{RuleContext, query, samples_of};
use super::health::RuleHealth;
use super::series::WrittenSeries;
use crate::alerting::rule::compile::{CompiledAlert, CompiledCondition};
use crate::alerting::rule::{MetricsView, NoData, OnError, duration};
use crate::alerting::state::{
    AlertInstance, ConditionMatch, RuleState, RuleTiming, SendTiming, Unmet,
};
use crate::alerting::template::{self, Shared};
use crate::alerting::{Alert, trace_link};
use crate::query::engine::{QueryError, VectorSample};
use crate::query::store::Point;
use crate::query::{Label, Labels, LabelsBuilder};

/// The label of alerts about the rule itself, as opposed to alerts about the monitored service.
const REASON_LABEL: &str = "alert_reason";

/// Milliseconds before an alert became active in which the traces behind it may have ended; the range of most rules.
const TRACE_LOOK_BACK_MS: i64 = 5 * 60_000;

#[derive(Debug)]
pub(super) struct AlertRunner {
    pub(super) compiled: CompiledAlert,
    pub(super) enabled: bool,
    pub(super) state: RuleState,
    pub(super) series: WrittenSeries,
    pub(super) health: RuleHealth,
    alert_name: Label,
}

/// The result of a condition.
struct ConditionResult {
    samples: Vec<VectorSample>,
    /// True if the samples have a value; the result of a closure has no value.
    has_value: bool,
    no_data: bool,
    /// Whether a query of a closure had no result.
    has_missing: bool,
}

impl AlertRunner {
    pub(super) fn new(compiled: CompiledAlert) -> Self {
        Self {
            alert_name: Label::new("alertname", compiled.rule.id.as_str()),
            enabled: compiled.rule.enabled,
            compiled,
            state: RuleState::default(),
            series: WrittenSeries::default(),
            health: RuleHealth::default(),
        }
    }

    /// Returns the URL that shows the expression.
    pub(super) fn generator_url(&self, external_url: &str) -> String {
        match &self.compiled.condition {
            CompiledCondition::Expr(prepared) => {
                let base = external_url.trim_end_matches('/');
                format!(
                    "{base}{}",
                    template::table_link(&prepared.expr().to_string())
                )
            }
            CompiledCondition::When(_) => external_url.to_owned(),
        }
    }

    /// Evaluates the rule and writes its series; returns the number of samples that the store accepted.
    pub(super) fn evaluate(&mut self, at: &RuleContext<'_>) -> Result<u64, String> {
        let rule = &self.compiled.rule;
        let outcome = self.evaluate_condition(at);
        let has_missing = matches!(&outcome, Ok(result) if result.has_missing);
        let timing = RuleTiming {
            now: at.now,
            hold_for: duration::to_milliseconds(rule.hold_for),
            keep_firing_for: duration::to_milliseconds(rule.keep_firing_for),
            limit: at.limit,
            is_data_missing: self.state.has_holds() && (has_missing || self.lacks_metrics(at)),
        };
        // A cancelled evaluation is not a failure of the rule and must not change the state of its alerts.
        let is_canceled = || at.context.source.control.is_canceled();
        if is_canceled() {
            return Err(QueryError::Canceled.to_string());
        }
        let (results, unmet, error) = match outcome {
            Ok(result) if result.no_data => match rule.no_data {
                NoData::Ok => (self.expand(&result, at, None), Unmet::Resolve, None),
                NoData::Alert => {
                    let summary = format!("{} has no data", rule.id);
                    (
                        self.alert_about_rule("no_data", &summary, at),
                        Unmet::Resolve,
                        None,
                    )
                }
                NoData::KeepLast => (Vec::new(), Unmet::Keep, None),
            },
            Ok(result) => (self.expand(&result, at, None), Unmet::Resolve, None),
            Err(error) => {
                let (results, unmet) = match rule.on_error {
                    OnError::Ok => (Vec::new(), Unmet::Resolve),
                    OnError::Alert => {
                        let summary = format!("{} cannot be evaluated: {error}", rule.id);
                        (self.alert_about_rule("error", &summary, at), Unmet::Keep)
                    }
                    OnError::KeepLast => (Vec::new(), Unmet::Keep),
                };
                (results, unmet, Some(error))
            }
        };
        if is_canceled() {
            return Err(QueryError::Canceled.to_string());
        }
        let results = redacted(results, at);
        self.state
            .advance(results, unmet, &timing)
            .map_err(|error| error.to_string())?;
        let mut samples = Vec::new();
        self.state.series(&mut samples);
        let accepted = self
            .series
            .write(at.context.source.store, at.query_time, &samples);
        error.map_or(Ok(accepted), Err)
    }

    /// Returns whether a metric of the expression has no sample since the start.
    fn lacks_metrics(&self, at: &RuleContext<'_>) -> bool {
        let store = at.context.source.store;
        let has_no_sample = |metric: &Vec<_>| {
            let found = store.series_between(metric, i64::MIN, at.query_time);
            found.is_empty()
        };
        self.compiled.metrics.iter().any(has_no_sample)
    }

    fn evaluate_condition(&self, at: &RuleContext<'_>) -> Result<ConditionResult, String> {
        let source = at.context.source;
        match &self.compiled.condition {
            CompiledCondition::Expr(prepared) => {
                let samples = query(source, prepared, at.query_time)?;
                // The presence of input data matters only if the expression has no result.
                let mut no_data = samples.is_empty() && !self.compiled.presence.is_empty();
                for presence in &self.compiled.presence {
                    if no_data {
                        no_data = query(source, presence, at.query_time)?.is_empty();
                    }
                }
                Ok(ConditionResult {
                    samples,
                    has_value: true,
                    no_data,
                    has_missing: false,
                })
            }
            CompiledCondition::When(closure) => {
                let outcome = match source.closures {
                    Some(threads) => {
                        closure.call_on_thread(source.engine, threads, at.query_time)?
                    }
                    None => closure.call(&MetricsView::new(
                        source.engine,
                        source.store,
                        source.control,
                        at.query_time,
                    ))?,
                };
                Ok(ConditionResult {
                    samples: if outcome.is_met {
                        vec![unlabeled_sample(at.now)]
                    } else {
                        Vec::new()
                    },
                    has_value: false,
                    no_data: !outcome.is_met
                        && outcome.has_no_data
                        && self.compiled.rule.no_data != NoData::Ok,
                    has_missing: outcome.has_missing,
                })
            }
        }
    }

    /// Returns an alert about the rule itself, with the given summary, because the rule's own summary has no value to
    /// state.
    fn alert_about_rule(
        &self,
        reason: &str,
        summary: &str,
        at: &RuleContext<'_>,
    ) -> Vec<ConditionMatch> {
        let mut sample = unlabeled_sample(at.now);
        sample.point.value = f64::NAN;
        let result = ConditionResult {
            samples: vec![sample],
            has_value: false,
            no_data: true,
            has_missing: false,
        };
        let mut met = self.expand(&result, at, Some(&Label::new(REASON_LABEL, reason)));
        for met in &mut met {
            met.annotations
                .insert("summary".to_owned(), summary.to_owned());
        }
        met
    }

    /// Expands the templates for every element.
    fn expand(
        &self,
        result: &ConditionResult,
        at: &RuleContext<'_>,
        reason: Option<&Label>,
    ) -> Vec<ConditionMatch> {
        let source = at.context.source;
        let run_query = |text: &str| -> Result<Vec<VectorSample>, QueryError> {
            let prepared = source.engine.prepare(text)?;
            let run = source.engine.run(source.store, &prepared);
            samples_of(run.with_control(source.control).at(at.now)?.value)
        };
        let shared = Shared {
            external_labels: at.context.external_labels,
            external_url: &at.context.options.external_url,
            query: &run_query,
        };
        // A text without placeholders is the same for every element and is allocated only once.
        let plain: Vec<Option<Label>> = self
            .compiled
            .labels
            .iter()
            .map(|(name, value)| value.as_plain().map(|v| Label::new(Arc::clone(name), v)))
            .collect();
        let expand = |sample: &VectorSample| {
            let context = template::Context {
                labels: &sample.labels,
                value: sample.point.value,
                shared: &shared,
            };
            let mut labels = LabelsBuilder::from_labels(&sample.labels);
            labels.remove("__name__");
            for ((name, value), plain) in self.compiled.labels.iter().zip(&plain) {
                labels.set(plain.clone().unwrap_or_else(|| {
                    Label::new(Arc::clone(name), value.expand_or_error_text(&context))
                }));
            }
            labels.set(self.alert_name.clone());
            if let Some(reason) = reason {
                labels.set(reason.clone());
            }
            let annotations = self.compiled.annotations.iter();
            ConditionMatch {
                labels: labels.build(),
                annotations: annotations
                    .map(|(name, value)| (name.clone(), value.expand_or_error_text(&context)))
                    .collect(),
                value: result.has_value.then_some(sample.point.value),
            }
        };
        result.samples.iter().map(expand).collect()
    }

    /// Adds the alerts that must be sent now.
    pub(super) fn take_due_alerts(
        &mut self,
        at: &RuleContext<'_>,
        interval: i64,
        out: &mut Vec<Alert>,
    ) {
        let options = at.context.options;
        let timing = SendTiming {
            now: at.now,
            resend_delay: duration::to_milliseconds(options.resend_delay),
            interval,
        };
        let url = self.generator_url(&options.external_url);
        let external = at.context.external_labels;
        let trace_lookup = at.context.source.trace_lookup;
        let selectors = match (&self.compiled.condition, trace_lookup) {
            (CompiledCondition::Expr(prepared), Some(_)) => prepared.expr().selectors(),
            _ => Vec::new(),
        };
        let mut lookups = 0;
        out.extend(self.state.take_due(&timing).map(|alert| {
            let mut sent = to_alert(alert, external, &url);
            if let Some(trace_lookup) = trace_lookup
                && alert.resolved_at.is_none()
                && lookups < trace_link::MAX_TRACE_LOOKUPS
            {
                lookups += 1;
                let times = alert.active_at.saturating_sub(TRACE_LOOK_BACK_MS)..=at.now;
                let trace = selectors.iter().find_map(|selector| {
                    (trace_lookup.find)(&selector.matchers, &alert.labels, &times)
                });
                if let Some(trace) = trace {
                    trace_lookup.link.annotate(&mut sent.annotations, trace);
                }
            }
            sent
        }));
    }
}

fn unlabeled_sample(timestamp: i64) -> VectorSample {
    VectorSample {
        labels: Labels::empty(),
        point: Point {
            timestamp,
            value: 1.0,
        },
    }
}

/// Converts an alert for sending: adds the external labels that the alert does not set.
pub(super) fn to_alert(alert: &AlertInstance, external: &Labels, url: &str) -> Alert {
    let labels = if external.is_empty() {
        alert.labels.clone()
    } else {
        let mut builder = LabelsBuilder::from_labels(external);
        alert
            .labels
            .iter()
            .for_each(|label| builder.set(label.clone()));
        builder.build()
    };
    let mut out = Alert::new(labels, alert.fired_at.unwrap_or(alert.active_at));
    out.annotations.clone_from(&alert.annotations);
    out.ends_at = alert.resolved_at.unwrap_or(alert.valid_until);
    url.clone_into(&mut out.generator_url);
    out.value = alert.value;
    out
}

/// Redacts the annotations, which may contain values of labels and texts of errors.
fn redacted(mut results: Vec<ConditionMatch>, at: &RuleContext<'_>) -> Vec<ConditionMatch> {
    if let Some(redaction) = at.context.source.redaction {
        let annotations = results.iter_mut().flat_map(|met| &mut met.annotations);
        for (name, text) in annotations {
            if let Cow::Owned(shown) = redaction.shown_uncut(name, text) {
                *text = shown;
            }
        }
    }
    results
}
