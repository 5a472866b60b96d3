//! Describes a worker or a thread that does not make progress.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use super::judge::Condition;
use crate::{layer::SpanView, system::MAIN};

/// A worker or a thread that does not make progress, or that makes progress again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// The condition.
    #[serde(serialize_with = "name_of")]
    pub condition: Condition,
    /// The name of the runtime: `main`, or the name of its registration.
    pub runtime: String,
    /// The index of the worker; `None` for a thread outside the workers, which polls the future of `block_on`.
    pub worker: Option<usize>,
    /// The name of the thread, if it has entered a span.
    pub thread: Option<String>,
    /// The id of the thread in the kernel, if it has entered a span.
    pub thread_id: Option<u32>,
    /// The time for which the condition holds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The entered span and its ancestors, the innermost first; empty for a worker that is not blocked inside a span.
    pub spans: Vec<FindingSpan>,
    /// True if the condition has ended.
    pub is_over: bool,
}

/// A span of a [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FindingSpan {
    /// The name of the span.
    pub name: &'static str,
    /// The target of the span, usually its module.
    pub target: &'static str,
    /// The redacted fields.
    #[serde(serialize_with = "as_map")]
    pub fields: Vec<(&'static str, String)>,
}

impl From<SpanView> for FindingSpan {
    fn from(span: SpanView) -> Self {
        Self {
            name: span.name,
            target: span.target,
            fields: span.fields,
        }
    }
}

/// A sentence: `worker 3 is blocked for 1.2 s in inference{model_id=gpt-4o} < http_request{route=/v1/chat}`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.worker, &self.thread) {
            (Some(worker), _) => write!(f, "worker {worker}")?,
            (None, Some(thread)) => write!(f, "thread {thread}")?,
            (None, None) => f.write_str("a thread")?,
        }
        if self.runtime != MAIN {
            write!(f, " of the runtime {}", self.runtime)?;
        }
        let verb = if self.is_over { "was" } else { "is" };
        let seconds = self.duration.as_secs_f64();
        write!(f, " {verb} {} for {seconds:.1} s", self.condition.as_str())?;
        for (place, span) in self.spans.iter().enumerate() {
            f.write_str(if place == 0 { " in " } else { " < " })?;
            f.write_str(span.name)?;
            for (number, (name, value)) in span.fields.iter().enumerate() {
                let before = if number == 0 { "{" } else { " " };
                write!(f, "{before}{name}={}", value.escape_debug())?;
            }
            if !span.fields.is_empty() {
                f.write_str("}")?;
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn name_of<S: Serializer>(condition: &Condition, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(condition.as_str())
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn as_map<S: Serializer>(
    fields: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_the_worker_and_the_spans_with_their_fields() {
        let span = |name, fields| FindingSpan {
            name,
            target: "router",
            fields,
        };
        let mut finding = Finding {
            condition: Condition::Blocked,
            runtime: MAIN.to_owned(),
            worker: Some(3),
            thread: Some("tokio-rt-worker".to_owned()),
            thread_id: Some(7),
            duration: Duration::from_millis(1_234),
            spans: vec![
                span("inference", vec![("model_id", "gpt-4o".to_owned())]),
                span("http_request", Vec::new()),
            ],
            is_over: false,
        };
        assert_eq!(
            finding.to_string(),
            "worker 3 is blocked for 1.2 s in inference{model_id=gpt-4o} < http_request"
        );
        finding.worker = None;
        finding.runtime = "batch".to_owned();
        finding.is_over = true;
        finding.spans.clear();
        assert_eq!(
            finding.to_string(),
            "thread tokio-rt-worker of the runtime batch was blocked for 1.2 s"
        );
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["condition"], "blocked");
        assert_eq!(json["seconds"], 1.234);
    }
}
