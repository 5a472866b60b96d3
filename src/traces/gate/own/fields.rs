//! Reads the fields of spans and events as attributes, as tracing-opentelemetry's layer does.

use std::{borrow::Cow, cell::LazyCell, error::Error, fmt, sync::Arc, thread};

use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{Event, SpanKind, Status},
};
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;

use crate::{log::try_printed, privacy::WITHHELD};

/// Attributes that a span or an event has besides its fields.
const OTHER_ATTRIBUTES: usize = 6;

thread_local! {
    /// The number and the name of this thread.
    static THREAD: LazyCell<(Option<i64>, Option<Arc<str>>)> = const {
        LazyCell::new(|| {
            let thread = thread::current();
            let id = format!("{:?}", thread.id());
            let digits = id.trim_matches(|letter: char| !letter.is_ascii_digit());
            (digits.parse().ok(), thread.name().map(Arc::from))
        })
    };
}

/// The fields of a span.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) name: Option<String>,
    pub(super) kind: Option<SpanKind>,
    pub(super) status: Option<Status>,
    pub(super) attributes: Vec<KeyValue>,
}

impl Fields {
    /// The fields that `record` visits, in a vector with room for `count` attributes; `on_panic` is called with the name of
    /// each field whose value panics.
    pub(super) fn read(
        count: usize,
        on_panic: &dyn Fn(&str),
        record: impl FnOnce(&mut dyn Visit),
    ) -> Self {
        let mut visitor = Visitor {
            fields: Self {
                attributes: Vec::with_capacity(count),
                ..Self::default()
            },
            on_panic,
        };
        record(&mut visitor);
        visitor.fields
    }

    /// The fields of a new span, with its place in the code and its thread.
    pub(super) fn of_new_span(
        metadata: &'static Metadata<'static>,
        on_panic: &dyn Fn(&str),
        record: impl FnOnce(&mut dyn Visit),
    ) -> Self {
        let count = metadata.fields().len() + OTHER_ATTRIBUTES;
        let mut fields = Self::read(count, on_panic, record);
        let attributes = &mut fields.attributes;
        add_place(attributes, metadata);
        attributes.push(KeyValue::new("target", metadata.target()));
        THREAD.with(|thread| {
            let (id, name) = &**thread;
            attributes.extend(id.map(|id| KeyValue::new("thread.id", id)));
            let name = name.clone().map(StringValue::from);
            attributes.extend(name.map(|name| KeyValue::new("thread.name", name)));
        });
        fields
    }
}

fn add_place(attributes: &mut Vec<KeyValue>, metadata: &'static Metadata<'static>) {
    let file = metadata.file();
    attributes.extend(file.map(|file| KeyValue::new("code.file.path", file)));
    let module = metadata.module_path();
    attributes.extend(module.map(|module| KeyValue::new("code.module.name", module)));
    let line = metadata.line();
    attributes.extend(line.map(|line| KeyValue::new("code.line.number", i64::from(line))));
}

/// An event, and the status that it gives its span.
pub(super) fn event(
    event: &tracing::Event<'_>,
    on_panic: &dyn Fn(&str),
) -> (Event, Option<Status>) {
    let metadata = event.metadata();
    let of_log = event.normalized_metadata();
    let level = of_log.as_ref().map_or(metadata.level(), Metadata::level);
    let target = of_log.as_ref().map(|of_log| of_log.target().to_owned());
    let target = target.map_or_else(|| StringValue::from(metadata.target()), StringValue::from);
    let mut attributes = Vec::with_capacity(metadata.fields().len() + OTHER_ATTRIBUTES);
    attributes.push(KeyValue::new("level", level.as_str()));
    attributes.push(KeyValue::new("target", target));
    let mut visitor = EventVisitor {
        visitor: Visitor {
            fields: Fields {
                attributes,
                ..Fields::default()
            },
            on_panic,
        },
        is_log: of_log.is_some(),
    };
    event.record(&mut visitor);
    let mut fields = visitor.visitor.fields;
    add_place(&mut fields.attributes, metadata);
    let status = fields.status.or_else(|| {
        let is_error = *level == Level::ERROR;
        is_error.then(|| Status::error(""))
    });
    let name: Cow<'static, str> = match fields.name {
        Some(name) => name.into(),
        None => metadata.name().into(),
    };
    let now = std::time::UNIX_EPOCH;
    (Event::new(name, now, fields.attributes, 0), status)
}

/// Reads the fields of a span.
struct Visitor<'g> {
    fields: Fields,
    on_panic: &'g dyn Fn(&str),
}

impl Visitor<'_> {
    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        let attribute = KeyValue::new(field.name(), value);
        self.fields.attributes.push(attribute);
    }

    fn printed(&self, field: &Field, value: &dyn fmt::Debug) -> String {
        try_printed(value).unwrap_or_else(|| {
            (self.on_panic)(field.name());
            WITHHELD.to_owned()
        })
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "otel.name" => self.fields.name = Some(text),
            "otel.kind" => self.fields.kind = kind(&text),
            "otel.status_code" => self.fields.status = Some(status(&text)),
            "otel.status_description" => self.fields.status = Some(Status::error(text)),
            _ => self.push(field, text),
        }
    }

    fn error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let message = self.printed(field, &format_args!("{error}"));
        let mut chain: Vec<StringValue> = Vec::new();
        let mut source = error.source();
        while let Some(error) = source {
            chain.push(self.printed(field, &format_args!("{error}")).into());
            source = error.source();
        }
        let attributes = &mut self.fields.attributes;
        attributes.push(KeyValue::new("exception.message", message.clone()));
        let stack = Value::Array(Array::String(chain.clone()));
        attributes.push(KeyValue::new("exception.stacktrace", stack));
        attributes.push(KeyValue::new(field.name(), message));
        let chain = Value::Array(Array::String(chain));
        attributes.push(KeyValue::new(format!("{}.chain", field.name()), chain));
    }
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.push(field, value),
            Err(_) => self.push(field, value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // Not copied.
            "otel.kind" => self.fields.kind = kind(value),
            "otel.status_code" => self.fields.status = Some(status(value)),
            _ => self.text(field, value.to_owned()),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = self.printed(field, value);
        self.text(field, text);
    }
}

/// Reads the fields of an event.
struct EventVisitor<'g> {
    visitor: Visitor<'g>,
    /// Returns true if the event is a record of the crate `log`, whose `log.*` fields are metadata.
    is_log: bool,
}

impl EventVisitor<'_> {
    fn is_metadata(&self, field: &Field) -> bool {
        self.is_log && field.name().starts_with("log.")
    }

    /// Records the text of a field; `shown` is the text as an error prints it.
    fn text(&mut self, field: &Field, text: String, shown: impl FnOnce(&str) -> String) {
        let fields = &mut self.visitor.fields;
        match field.name() {
            "message" => fields.name = Some(text),
            // An event of `#[instrument(err)]`.
            "error" if fields.name.is_none() => {
                let shown = shown(&text);
                fields.status = Some(Status::error(shown.clone()));
                fields.name = Some("exception".to_owned());
                fields
                    .attributes
                    .push(KeyValue::new("exception.message", shown));
            }
            _ => self.visitor.push(field, text),
        }
    }
}

/// Methods for values that are no text.
macro_rules! values {
    ($($method:ident: $value:ty,)*) => {
        $(fn $method(&mut self, field: &Field, value: $value) {
            match field.name() {
                "message" => self.visitor.fields.name = Some(value.to_string()),
                _ if self.is_metadata(field) => {}
                _ => self.visitor.$method(field, value),
            }
        })*
    };
}

impl Visit for EventVisitor<'_> {
    values! {
        record_f64: f64,
        record_i64: i64,
        record_u64: u64,
        record_bool: bool,
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !self.is_metadata(field) {
            self.text(field, value.to_owned(), |text| format!("{text:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.visitor.error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !self.is_metadata(field) {
            let text = self.visitor.printed(field, value);
            self.text(field, text, str::to_owned);
        }
    }
}

fn kind(text: &str) -> Option<SpanKind> {
    let kinds = [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ];
    let known = kinds.into_iter();
    let mut found = known.filter(|(name, _)| text.eq_ignore_ascii_case(name));
    found.next().map(|(_, kind)| kind)
}

fn status(text: &str) -> Status {
    match text {
        _ if text.eq_ignore_ascii_case("ok") => Status::Ok,
        _ if text.eq_ignore_ascii_case("error") => Status::error(""),
        _ => Status::Unset,
    }
}
