//! Converts a copied event into a redacted log record.

use std::{fmt, time::SystemTime};

use opentelemetry::trace::SpanContext;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};

use crate::{
    log::printed,
    privacy::{MASK, Redaction, WITHHELD},
};

/// A copied event.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) time: SystemTime,
    pub(super) ids: Option<SpanContext>,
    pub(super) fields: CopiedFields,
}

/// The fields of an event.
#[derive(Debug, Default)]
pub(super) struct CopiedFields(Vec<(&'static str, Value)>);

impl Record {
    /// The record for export.
    pub(super) fn redacted(self, redaction: &Redaction) -> LogRecord {
        let level = *self.metadata.level();
        let mut record = LogRecord {
            time_unix_nano: nanoseconds(self.time),
            observed_time_unix_nano: nanoseconds(self.time),
            severity_number: severity(level).into(),
            severity_text: level.to_string(),
            ..LogRecord::default()
        };
        if let Some(ids) = self.ids {
            record.trace_id = ids.trace_id().to_bytes().to_vec();
            record.span_id = ids.span_id().to_bytes().to_vec();
            record.flags = ids.trace_flags().to_u8().into();
        }
        let mut target = self.metadata.target().to_owned();
        for (name, value) in self.fields.0 {
            // An event of the `log` crate carries its target in a field.
            if let ("log.target", Value::StringValue(text)) = (name, &value) {
                text.clone_into(&mut target);
            }
            if name.starts_with("log.") {
                continue;
            }
            let shown = shown(redaction, name, value);
            if name == "message" {
                record.body = Some(AnyValue { value: Some(shown) });
            } else {
                record.attributes.push(pair(name, shown));
            }
        }
        record.attributes.push(text("target", target));
        record
    }
}

fn masked() -> Value {
    Value::StringValue(MASK.to_owned())
}

/// The value after redaction.
fn shown(redaction: &Redaction, name: &str, value: Value) -> Value {
    match value {
        Value::StringValue(text) => Value::StringValue(redaction.shown(name, &text).into_owned()),
        _ if redaction.is_denied(name) => Value::StringValue(WITHHELD.to_owned()),
        Value::IntValue(number) if redaction.masks_number(number) => masked(),
        Value::DoubleValue(number) if redaction.masks_float(number) => masked(),
        other => other,
    }
}

/// An attribute with a text value.
pub(super) fn text(key: &str, value: String) -> KeyValue {
    pair(key, Value::StringValue(value))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// OpenTelemetry's log data model, "Mapping of `SeverityNumber`".
fn severity(level: Level) -> SeverityNumber {
    match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        _ => SeverityNumber::Trace,
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

impl Visit for CopiedFields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Value::IntValue(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // OTLP has no unsigned integers.
        let value = i64::try_from(value)
            .map_or_else(|_| Value::StringValue(value.to_string()), Value::IntValue);
        self.0.push((field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Value::DoubleValue(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Value::BoolValue(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value = Value::StringValue(value.to_owned());
        self.0.push((field.name(), value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = Value::StringValue(printed(value));
        self.0.push((field.name(), value));
    }
}
