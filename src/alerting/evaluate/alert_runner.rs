//! An alert rule that runs.

use std::{borrow::Cow, sync::Arc};

use super::group::{RuleAt, query, samples_of};
use super::health::Health;
use super::series::Written;
use crate::alerting::rule::compile::{CompiledAlert, CompiledCondition};
use crate::alerting::rule::{MetricsView, NoData, OnError, duration};
use crate::alerting::state::{Instance, Met, RuleState, Sending, Timing, Unmet};
use crate::alerting::template::{self, Shared};
use crate::alerting::{Alert, trace_link};
use crate::query::engine::{QueryError, VectorSample};
use crate::query::store::Point;
use crate::query::{Label, Labels, LabelsBuilder};

/// The label that tells an alert about the rule itself from one about what it watches.
const REASON: &str = "alert_reason";

/// Milliseconds before an alert was first seen in which the traces behind it may have ended: most rules look that far.
const LOOK_BACK: i64 = 5 * 60_000;

#[derive(Debug)]
pub(super) struct AlertRunner {
    pub(super) compiled: CompiledAlert,
    pub(super) enabled: bool,
    pub(super) state: RuleState,
    pub(super) written: Written,
    pub(super) health: Health,
    alert_name: Label,
}

/// What the condition gave.
struct Found {
    samples: Vec<VectorSample>,
    /// Samples have a value, what a closure says has none.
    has_value: bool,
    no_data: bool,
}

impl AlertRunner {
    pub(super) fn new(compiled: CompiledAlert) -> Self {
        Self {
            alert_name: Label::new("alertname", compiled.rule.id.as_str()),
            enabled: compiled.rule.enabled,
            compiled,
            state: RuleState::default(),
            written: Written::default(),
            health: Health::default(),
        }
    }

    /// Where the expression can be looked at.
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

    /// Evaluates the rule, and writes its series; returns how many samples were taken.
    pub(super) fn evaluate(&mut self, at: &RuleAt<'_>) -> Result<u64, String> {
        let rule = &self.compiled.rule;
        let timing = Timing {
            now: at.now,
            hold_for: duration::to_milliseconds(rule.hold_for),
            keep_firing_for: duration::to_milliseconds(rule.keep_firing_for),
            limit: at.limit,
        };
        let found = self.find(at);
        // Whoever cancels wants to be gone: it is no failure, and nothing is known of the alerts.
        let is_canceled = || at.surroundings.source.control.is_canceled();
        if is_canceled() {
            return Err(QueryError::Canceled.to_string());
        }
        let (results, unmet, error) = match found {
            Ok(found) if found.no_data => match rule.no_data {
                NoData::Ok => (self.expand(&found, at, None), Unmet::End, None),
                NoData::Alert => {
                    let summary = format!("{} has no data", rule.id);
                    (self.about_itself("no_data", &summary, at), Unmet::End, None)
                }
                NoData::KeepLast => (Vec::new(), Unmet::Stay, None),
            },
            Ok(found) => (self.expand(&found, at, None), Unmet::End, None),
            Err(error) => {
                let (results, unmet) = match rule.on_error {
                    OnError::Ok => (Vec::new(), Unmet::End),
                    OnError::Alert => {
                        let summary = format!("{} cannot be evaluated: {error}", rule.id);
                        (self.about_itself("error", &summary, at), Unmet::Stay)
                    }
                    OnError::KeepLast => (Vec::new(), Unmet::Stay),
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
        let taken = self
            .written
            .write(at.surroundings.source.store, at.query_time, &samples);
        error.map_or(Ok(taken), Err)
    }

    fn find(&self, at: &RuleAt<'_>) -> Result<Found, String> {
        let source = at.surroundings.source;
        match &self.compiled.condition {
            CompiledCondition::Expr(prepared) => {
                let samples = query(source, prepared, at.query_time)?;
                // Only where nothing came out does it matter whether anything went in.
                let mut no_data = samples.is_empty() && !self.compiled.presence.is_empty();
                for presence in &self.compiled.presence {
                    if no_data {
                        no_data = query(source, presence, at.query_time)?.is_empty();
                    }
                }
                Ok(Found {
                    samples,
                    has_value: true,
                    no_data,
                })
            }
            CompiledCondition::When(closure) => {
                let verdict = match source.closures {
                    Some(threads) => {
                        closure.ask_on_thread(source.engine, threads, at.query_time)?
                    }
                    None => closure.ask(&MetricsView::new(
                        source.engine,
                        source.store,
                        source.control,
                        at.query_time,
                    ))?,
                };
                Ok(Found {
                    samples: if verdict.is_met {
                        vec![bare_sample(at.now)]
                    } else {
                        Vec::new()
                    },
                    has_value: false,
                    no_data: !verdict.is_met
                        && verdict.saw_no_data
                        && self.compiled.rule.no_data != NoData::Ok,
                })
            }
        }
    }

    /// An alert about the rule itself. There is no value that its own summary could state.
    fn about_itself(&self, reason: &str, summary: &str, at: &RuleAt<'_>) -> Vec<Met> {
        let mut sample = bare_sample(at.now);
        sample.point.value = f64::NAN;
        let found = Found {
            samples: vec![sample],
            has_value: false,
            no_data: true,
        };
        let mut met = self.expand(&found, at, Some(&Label::new(REASON, reason)));
        for met in &mut met {
            met.annotations
                .insert("summary".to_owned(), summary.to_owned());
        }
        met
    }

    /// Expands the templates for every element.
    fn expand(&self, found: &Found, at: &RuleAt<'_>, reason: Option<&Label>) -> Vec<Met> {
        let source = at.surroundings.source;
        let answer = |text: &str| -> Result<Vec<VectorSample>, QueryError> {
            let prepared = source.engine.prepare(text)?;
            let run = source.engine.run(source.store, &prepared);
            samples_of(run.with_control(source.control).at(at.now)?.value)
        };
        let shared = Shared {
            external_labels: at.surroundings.external_labels,
            external_url: &at.surroundings.options.external_url,
            query: &answer,
        };
        // A plain text is the same for every element: one allocation for all of them.
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
                    Label::new(Arc::clone(name), value.expand_or_say_why(&context))
                }));
            }
            labels.set(self.alert_name.clone());
            if let Some(reason) = reason {
                labels.set(reason.clone());
            }
            let annotations = self.compiled.annotations.iter();
            Met {
                labels: labels.build(),
                annotations: annotations
                    .map(|(name, value)| (name.clone(), value.expand_or_say_why(&context)))
                    .collect(),
                value: found.has_value.then_some(sample.point.value),
            }
        };
        found.samples.iter().map(expand).collect()
    }

    /// What must be told to the router.
    pub(super) fn tell(&mut self, at: &RuleAt<'_>, interval: i64, out: &mut Vec<Alert>) {
        let options = at.surroundings.options;
        let sending = Sending {
            now: at.now,
            resend_delay: duration::to_milliseconds(options.resend_delay),
            interval,
        };
        let url = self.generator_url(&options.external_url);
        let external = at.surroundings.external_labels;
        let evidence = at.surroundings.source.evidence;
        let selectors = match (&self.compiled.condition, evidence) {
            (CompiledCondition::Expr(prepared), Some(_)) => prepared.expr().selectors(),
            _ => Vec::new(),
        };
        let mut looked_up = 0;
        out.extend(self.state.tell(&sending).map(|alert| {
            let mut told = outgoing(alert, external, &url);
            if let Some(evidence) = evidence
                && alert.resolved_at.is_none()
                && looked_up < trace_link::MOST
            {
                looked_up += 1;
                let times = alert.active_at.saturating_sub(LOOK_BACK)..=at.now;
                let trace = selectors.iter().find_map(|selector| {
                    (evidence.find)(&selector.matchers, &alert.labels, &times)
                });
                if let Some(trace) = trace {
                    evidence.link.annotate(&mut told.annotations, trace);
                }
            }
            told
        }));
    }
}

fn bare_sample(timestamp: i64) -> VectorSample {
    VectorSample {
        labels: Labels::empty(),
        point: Point {
            timestamp,
            value: 1.0,
        },
    }
}

/// An alert as the router gets it: with the external labels that it does not have itself.
pub(super) fn outgoing(alert: &Instance, external: &Labels, url: &str) -> Alert {
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

/// Without what must not leave the process in annotations, which labels and errors get into.
fn redacted(mut results: Vec<Met>, at: &RuleAt<'_>) -> Vec<Met> {
    if let Some(redaction) = at.surroundings.source.redaction {
        let annotations = results.iter_mut().flat_map(|met| &mut met.annotations);
        for (name, text) in annotations {
            if let Cow::Owned(shown) = redaction.shown_uncut(name, text) {
                *text = shown;
            }
        }
    }
    results
}
