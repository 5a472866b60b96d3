//! Packs ended spans for the store: one block of memory for all texts of a span, instead of a copy of each attribute.
//!
//! The exporters take the spans themselves, so that no span is copied as a whole.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    KeyValue, SpanId,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;

/// The counts of an `Arc`.
const ARC_BYTES: usize = 16;

/// A packed span.
#[derive(Clone, Debug)]
pub(super) struct PackedSpan {
    pub(super) span_id: u64,
    pub(super) parent_id: Option<u64>,
    pub(super) parent_is_remote: bool,
    pub(super) kind: SpanKind,
    pub(super) is_failed: bool,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes_left_out: u32,
    pub(super) events_left_out: u32,
    /// The name, the description of the failure, the attributes and the events, as [`Reader`] reads them.
    texts: Arc<[u8]>,
}

/// Packs spans; its buffer is used for all spans.
#[derive(Debug, Default)]
pub(super) struct Packer(Vec<u8>);

impl Packer {
    pub(super) fn packed(&mut self, span: &SpanData) -> PackedSpan {
        self.0.clear();
        self.text(&span.name);
        self.text(match &span.status {
            Status::Error { description } => description,
            Status::Unset | Status::Ok => "",
        });
        self.attributes(&span.attributes);
        self.count(span.events.events.len());
        for event in &span.events.events {
            self.text(&event.name);
            let after = event.timestamp.duration_since(span.start_time);
            let after = after.unwrap_or_default().as_nanos() as u64;
            self.0.extend_from_slice(&after.to_le_bytes());
            self.attributes(&event.attributes);
        }
        let parent = (span.parent_span_id != SpanId::INVALID).then_some(span.parent_span_id);
        PackedSpan {
            span_id: u64::from_be_bytes(span.span_context.span_id().to_bytes()),
            parent_id: parent.map(|parent| u64::from_be_bytes(parent.to_bytes())),
            parent_is_remote: span.parent_span_is_remote,
            kind: span.span_kind.clone(),
            is_failed: matches!(span.status, Status::Error { .. }),
            start: span.start_time,
            end: span.end_time,
            attributes_left_out: span.dropped_attributes_count,
            events_left_out: span.events.dropped_count,
            texts: self.0.as_slice().into(),
        }
    }

    fn attributes(&mut self, attributes: &[KeyValue]) {
        self.count(attributes.len());
        for KeyValue { key, value, .. } in attributes {
            self.text(key.as_str());
            let length = self.0.len();
            self.count(0);
            let start = self.0.len();
            // Writing into a vector does not fail.
            let _ = write!(self.0, "{value}");
            let written = (self.0.len() - start) as u32;
            if let Some(place) = self.0.get_mut(length..start) {
                place.copy_from_slice(&written.to_le_bytes());
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u32).to_le_bytes());
    }
}

impl PackedSpan {
    /// The memory of the span.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + ARC_BYTES + self.texts.len()
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader(&self.texts)
    }

    /// Returns the value of the first attribute with one of these keys.
    pub(super) fn attribute(&self, keys: &[&str]) -> Option<String> {
        let mut reader = self.reader();
        // The name and the description.
        reader.bytes();
        reader.bytes();
        (0..reader.count()).find_map(|_| {
            let key = reader.bytes();
            let value = reader.bytes();
            let is_wanted = keys.iter().any(|wanted| wanted.as_bytes() == key);
            is_wanted.then(|| String::from_utf8_lossy(value).into_owned())
        })
    }
}

/// Reads the texts of a packed span in their order: name, description, attributes, count of events; name, time and
/// attributes of each event.
pub(super) struct Reader<'t>(&'t [u8]);

impl<'t> Reader<'t> {
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    fn bytes(&mut self) -> &'t [u8] {
        let length = self.count() as usize;
        self.take(length)
    }

    pub(super) fn count(&mut self) -> u32 {
        let bytes = self.take(size_of::<u32>()).try_into();
        bytes.map_or(0, u32::from_le_bytes)
    }

    pub(super) fn duration(&mut self) -> Duration {
        let bytes = self.take(size_of::<u64>()).try_into();
        Duration::from_nanos(bytes.map_or(0, u64::from_le_bytes))
    }

    pub(super) fn attributes(&mut self) -> Vec<(String, String)> {
        let count = self.count();
        (0..count).map(|_| (self.text(), self.text())).collect()
    }

    fn take(&mut self, length: usize) -> &'t [u8] {
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        Value,
        trace::{Event, SpanContext},
    };

    use super::{super::SpanRecord, *};
    use crate::traces::tail::tests::{failed, span, with};

    #[test]
    fn a_packed_span_is_read_as_it_was() {
        let mut span = with(with(failed(span(1, 5, 4)), "text", "ä\0ö"), "count", 7);
        span = with(span, "", "");
        span.span_context = SpanContext::empty_context();
        span.name = "named".into();
        span.status = Status::error("it broke");
        span.attributes
            .push(KeyValue::new("list", Value::Array(vec![1_i64, 2].into())));
        let at = |seconds| span.start_time + Duration::from_secs(seconds);
        span.events.events = vec![
            Event::new("first", at(1), vec![KeyValue::new("k", 1.5)], 0),
            Event::new("second", at(2), vec![], 0),
        ];
        span.end_time = at(3);
        span.events.dropped_count = 8;
        let mut packer = Packer::default();
        packer.packed(&super::super::super::tail::tests::span(2, 2, 1));
        let record = SpanRecord::of(&packer.packed(&span));
        assert_eq!((&*record.name, record.parent_id), ("named", Some(4)));
        assert_eq!(record.error.as_deref(), Some("it broke"));
        assert_eq!(record.duration, Duration::from_secs(3));
        let pairs = [
            ("text", "ä\0ö"),
            ("count", "7"),
            ("", ""),
            ("list", "[1,2]"),
        ];
        let expected = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(record.attributes, expected);
        let stored = packer.packed(&span);
        let value = |keys: &[&str]| stored.attribute(keys);
        assert_eq!(value(&["list", "count"]).as_deref(), Some("7"));
        assert_eq!(value(&["named"]), None);
        assert_eq!(record.events_left_out, 8);
        let [first, second] = &record.events[..] else {
            panic!("{:?}", record.events);
        };
        assert_eq!(
            (&*first.name, first.after),
            ("first", Duration::from_secs(1))
        );
        assert_eq!(first.attributes, [("k".to_owned(), "1.5".to_owned())]);
        assert_eq!(
            (&*second.name, second.after),
            ("second", Duration::from_secs(2))
        );
        assert!(second.attributes.is_empty());
    }
}
