//! Sets the error status of spans whose fields report a failure.
//!
//! tracing-opentelemetry sets the status from `otel.status_code` and from events of level ERROR. The span kinds of this
//! crate report failures in fields: `status = "error"`, `http.response.status_code = 503`. Without the status, such a
//! trace would not be red in a viewer, nor kept by the tail sampler, nor listed as failed in the live view. The exporting
//! thread does this, and does not change a status that the application has set.

use std::{borrow::Cow, sync::Arc};

use opentelemetry::{
    KeyValue, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    observation::{Kind, Mapping, Outcome},
    privacy::Redaction,
};

/// gRPC codes that are failures of a server. For a client, every code but `OK` is a failure. RPC conventions, v1.41.1.
const RPC_FAILURES: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Sets the status of failed spans.
pub(super) struct Failures {
    mapping: Mapping,
    redaction: Arc<Redaction>,
}

impl Failures {
    pub(super) fn new(mapping: &Mapping, redaction: &Arc<Redaction>) -> Self {
        Self {
            mapping: mapping.clone(),
            redaction: Arc::clone(redaction),
        }
    }

    /// Sets the status of a span that failed and has no status.
    pub(super) fn apply(&self, span: &mut SpanData) {
        if span.status == Status::Unset
            && let Some(description) = self.failure_of(span)
        {
            span.status = Status::Error { description };
        }
        self.classify(span);
    }

    /// Gives a failed span of a kind of this crate the error type that its metrics have.
    fn classify(&self, span: &mut SpanData) {
        if !matches!(span.status, Status::Error { .. }) || !self.is_kind(span) {
            return;
        }
        let value = |name: &str| {
            let mut pairs = span.attributes.iter();
            let pair = pairs.find(|pair| self.renamed(pair.key.as_str()) == name)?;
            Some(pair.value.as_str()).filter(|value| !value.is_empty())
        };
        if ["error.type", "error_type"]
            .into_iter()
            .any(|name| value(name).is_some())
        {
            return;
        }
        let has_timed_out = value("status")
            .is_some_and(|status| Outcome::parse(&status) == Outcome::Timeout)
            .then_some(Cow::Borrowed("timeout"));
        let code = has_timed_out
            .or_else(|| value("rpc.response.status_code").filter(|code| code != "OK"))
            .or_else(|| {
                value("http.response.status_code").filter(|code| code.starts_with(['4', '5']))
            })
            .map_or_else(|| "_OTHER".to_owned(), Cow::into_owned);
        span.attributes.push(KeyValue::new("error.type", code));
    }

    /// The class of the failure, which may be empty; `None` for a span that did not fail.
    fn failure_of(&self, span: &SpanData) -> Option<Cow<'static, str>> {
        let is_client = span.span_kind == SpanKind::Client;
        let is_kind = self.is_kind(span);
        let mut class = None;
        let mut has_failed = false;
        for KeyValue { key, value, .. } in &span.attributes {
            match self.renamed(key.as_str()) {
                "status" if is_kind => {
                    let outcome = Outcome::parse(&value.as_str());
                    if outcome == Outcome::Timeout {
                        class.get_or_insert_with(|| Outcome::Timeout.as_str().into());
                    }
                    has_failed |= outcome.is_failure();
                }
                // "SHOULD NOT be set if the operation succeeded."
                // A cancelled operation did not fail.
                "error.type" | "error_type" if !matches!(&*value.as_str(), "" | "cancelled") => {
                    // A withheld value must not be exported as a description either.
                    if !self.redaction.is_withheld(key.as_str()) {
                        class = Some(value.as_str().into_owned().into());
                    }
                    has_failed = true;
                }
                // As in the Layer: any text but `false` is a failure.
                "error" if !matches!(&*value.as_str(), "" | "false") => {
                    if class.is_none()
                        && value.as_str() != "true"
                        && !self.redaction.is_withheld(key.as_str())
                    {
                        class = Some(value.as_str().into_owned().into());
                    }
                    has_failed = true;
                }
                // HTTP conventions: 5xx, and 4xx for a client span.
                "http.response.status_code" | "status_code" => {
                    has_failed |= number(value).is_some_and(|code| {
                        (500..600).contains(&code) || (is_client && (400..500).contains(&code))
                    });
                }
                "rpc.response.status_code" => {
                    let code = value.as_str();
                    has_failed |= RPC_FAILURES.contains(&&*code)
                        || (is_client && !code.is_empty() && code != "OK");
                }
                _ => {}
            }
        }
        has_failed.then(|| class.unwrap_or_default())
    }

    /// Returns `true` if the span is of a kind of this crate, whose `status` has a known meaning.
    fn is_kind(&self, span: &SpanData) -> bool {
        let of_name = |name: &str| Kind::named(name, &self.mapping.spans).is_some();
        let mut keys = span.attributes.iter().map(|pair| pair.key.as_str());
        of_name(&span.name)
            || keys
                .any(|key| key == "observatory.kind" || Kind::of_field(self.renamed(key)).is_some())
    }

    fn renamed<'k>(&'k self, key: &'k str) -> &'k str {
        self.mapping.fields.get(key).map_or(key, String::as_str)
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::I64(code) => Some(*code),
        other => other.as_str().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        privacy::denying,
        traces::tail::tests::{span, with},
    };

    fn check(
        name: &'static str,
        kind: SpanKind,
        field: &(&'static str, Value),
        expected: Option<&str>,
    ) {
        let mut span = with(span(1, 1, 0), field.0, field.1.clone());
        (span.name, span.span_kind) = (name.into(), kind);
        Failures::new(&Mapping::default(), &denying(&[])).apply(&mut span);
        let description = match &span.status {
            Status::Error { description } => Some(&**description),
            Status::Ok | Status::Unset => None,
        };
        assert_eq!(description, expected, "{name} {field:?}");
    }

    #[test]
    fn fields_that_report_a_failure_set_the_status() {
        use SpanKind::{Client, Internal, Server};
        check("inference", Internal, &("status", "error".into()), Some(""));
        check(
            "inference",
            Internal,
            &("status", "timeout".into()),
            Some("timeout"),
        );
        check("inference", Internal, &("status", "cancelled".into()), None);
        check("inference", Internal, &("status", "success".into()), None);
        // The meaning of `status` in another span is unknown.
        check("order", Internal, &("status", "error".into()), None);
        check(
            "order",
            Internal,
            &("error.type", "Timeout".into()),
            Some("Timeout"),
        );
        check(
            "order",
            Internal,
            &("error", "sold out".into()),
            Some("sold out"),
        );
        check("order", Internal, &("error", true.into()), Some(""));
        check("order", Internal, &("error", false.into()), None);
        check(
            "GET /",
            Server,
            &("http.response.status_code", 503.into()),
            Some(""),
        );
        check(
            "GET /",
            Server,
            &("http.response.status_code", 404.into()),
            None,
        );
        check(
            "GET /",
            Client,
            &("http.response.status_code", 404.into()),
            Some(""),
        );
        check(
            "GET /",
            Server,
            &("http.response.status_code", 499.into()),
            None,
        );
        check(
            "say",
            Server,
            &("rpc.response.status_code", "NOT_FOUND".into()),
            None,
        );
        check(
            "say",
            Server,
            &("rpc.response.status_code", "INTERNAL".into()),
            Some(""),
        );
        check(
            "say",
            Client,
            &("rpc.response.status_code", "NOT_FOUND".into()),
            Some(""),
        );
        check(
            "say",
            Client,
            &("rpc.response.status_code", "OK".into()),
            None,
        );
    }

    #[test]
    fn a_failed_span_of_a_kind_has_the_error_type_of_its_metrics() {
        let check = |name: &'static str, fields: &[(&'static str, &'static str)], expected| {
            let mut span = span(1, 1, 0);
            span.name = name.into();
            for (key, value) in fields {
                span = with(span, key, *value);
            }
            Failures::new(&Mapping::default(), &denying(&[])).apply(&mut span);
            let mut pairs = span.attributes.iter();
            let found = pairs.find(|pair| pair.key.as_str() == "error.type");
            let found = found.map(|pair| pair.value.to_string());
            assert_eq!(found.as_deref(), expected, "{name} {fields:?}");
        };
        check("inference", &[("status", "error")], Some("_OTHER"));
        check("inference", &[("status", "timeout")], Some("timeout"));
        check("inference", &[("status", "cancelled")], None);
        check("inference", &[("status", "success")], None);
        check("inference", &[("error", "sold out")], Some("_OTHER"));
        let named = [("error.type", "rate_limited")];
        check("inference", &named, Some("rate_limited"));
        let cancelled = [("error.type", "cancelled")];
        check("inference", &cancelled, Some("cancelled"));
        check(
            "http_request",
            &[("http.response.status_code", "503")],
            Some("503"),
        );
        let failed = [("http.response.status_code", "200"), ("error", "reset")];
        check("http_request", &failed, Some("_OTHER"));
        // The meaning of the fields of another span is unknown.
        check("order", &[("error", "sold out")], None);
    }

    #[test]
    fn a_cancelled_span_has_no_error_status() {
        let mut span = with(span(1, 1, 0), "error.type", "cancelled");
        span.name = "inference".into();
        Failures::new(&Mapping::default(), &denying(&[])).apply(&mut span);
        assert_eq!(span.status, Status::Unset);
    }

    #[test]
    fn a_withheld_class_is_no_description() {
        let mut span = with(span(1, 1, 0), "error.type", "s3cret");
        Failures::new(&Mapping::default(), &denying(&["error.type"])).apply(&mut span);
        assert_eq!(span.status, Status::error(""));
    }

    #[test]
    fn a_status_that_the_application_has_set_stays() {
        let mut span = with(span(1, 1, 0), "error.type", "Timeout");
        span.status = Status::Ok;
        Failures::new(&Mapping::default(), &denying(&[])).apply(&mut span);
        assert_eq!(span.status, Status::Ok);
    }
}
