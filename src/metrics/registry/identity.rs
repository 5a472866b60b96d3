//! The identity of a series: name and labels in canonical form.
//!
//! Names and keys are sanitized to Prometheus's classic character set, keys are sorted, empty values are dropped (Prometheus
//! treats them as absent), and values are escaped. The canonical text is both the look-up key of a series and the text
//! that the exposition writes.

use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

use metrics_exporter_prometheus::formatting::{sanitize_label_key, sanitize_metric_name};

use super::label_set::LabelSet;
use crate::{
    observation::{Label, OVERFLOW},
    privacy::Redaction,
};

/// Max label pairs that are sorted on the stack; more pairs go to the heap.
const ON_STACK: usize = 24;
/// Max bytes of a label value; a longer value is truncated.
pub(super) const MAX_VALUE_BYTES: usize = 16 * 1024;

/// The label that histograms add.
const RESERVED: &str = "le";

/// Returns the canonical name of a metric.
pub(crate) fn metric_name(name: &str) -> Cow<'_, str> {
    let is_clean = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit());
    match name {
        "" => Cow::Borrowed("_"),
        _ if is_clean => Cow::Borrowed(name),
        _ => Cow::Owned(sanitize_metric_name(name)),
    }
}

/// Returns the canonical name of a counter, which ends in `_total`.
pub(crate) fn counter_name(name: &str) -> Cow<'_, str> {
    let name = metric_name(name);
    if name.ends_with("_total") {
        name
    } else {
        Cow::Owned(format!("{name}_total"))
    }
}

/// Returns whether a label has few values, so that an overflow series keeps them.
fn is_bounded(key: &str) -> bool {
    const ALSO: [&str; 8] = [
        "type",
        "state",
        "source",
        "kind",
        "period",
        "gen_ai_token_type",
        "gen_ai_operation_name",
        "code",
    ];
    ALSO.contains(&key)
        || Label::ALL
            .iter()
            .any(|label| label.is_bounded() && label.name() == key)
}

/// The canonical form of a list of labels, borrowed for the time of a look-up.
#[derive(Clone, Copy)]
pub(crate) struct Canonical<'a> {
    text: &'a str,
    /// Sorted by key. Of equal keys the last pair counts; a pair with an empty value is no label.
    sorted: &'a [(&'a str, &'a str)],
}

impl<'a> Canonical<'a> {
    /// Returns the labels with their secrets masked; `None` if no label contains a secret.
    pub(crate) fn masked(&self, redaction: &Redaction) -> Option<Vec<(&'a str, Cow<'a, str>)>> {
        let mut is_masked = false;
        let masked = counted(self.sorted)
            .map(|(key, value)| match redaction.label(key, value) {
                Some(clean) => {
                    is_masked = true;
                    (key, Cow::Owned(clean))
                }
                None => (key, Cow::Borrowed(value)),
            })
            .collect();
        is_masked.then_some(masked)
    }

    /// Returns the canonical text, which identifies the series within its metric.
    pub(crate) fn text(&self) -> &str {
        self.text
    }

    /// Copies the labels for a new series.
    pub(crate) fn label_set(&self) -> LabelSet {
        LabelSet::new(self.text, counted(self.sorted))
    }

    /// Copies the labels with each unbounded value replaced by [`OVERFLOW`]. Labels that every series gets keep
    /// their values.
    pub(crate) fn folded(&self, everywhere: &BTreeMap<String, String>) -> LabelSet {
        let pairs = || {
            counted(self.sorted).map(|(key, value)| {
                let is_kept = is_bounded(key) || everywhere.contains_key(key);
                (key, if is_kept { value } else { OVERFLOW })
            })
        };
        let mut text = String::with_capacity(self.text.len());
        for (key, value) in pairs() {
            write_pair(&mut text, key, value);
        }
        LabelSet::new(&text, pairs())
    }
}

/// Calls `with` with the canonical form of these labels, without allocating where they are few and clean.
/// Where a key comes twice, the later pair counts.
pub(crate) fn with_canonical<'a, R>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    with: impl FnOnce(Canonical<'_>) -> R,
) -> R {
    let mut on_stack = [("", ""); ON_STACK];
    let mut on_heap = Vec::new();
    let mut len = 0;
    let mut is_clean = true;
    for (key, value) in labels {
        is_clean &= is_clean_key(key);
        match on_stack.get_mut(len) {
            Some(place) if on_heap.is_empty() => *place = (key, value),
            _ => {
                if on_heap.is_empty() {
                    on_heap.extend_from_slice(&on_stack);
                }
                on_heap.push((key, value));
            }
        }
        len += 1;
    }
    let pairs = if on_heap.is_empty() {
        &mut on_stack[..len]
    } else {
        &mut on_heap[..]
    };
    if is_clean {
        return write_and_use(pairs, with);
    }
    let keys: Vec<String> = pairs.iter().map(|(key, _)| clean_key(key)).collect();
    let mut pairs: Vec<(&str, &str)> = keys
        .iter()
        .zip(&*pairs)
        .map(|(key, (_, value))| (key.as_str(), *value))
        .collect();
    write_and_use(&mut pairs, with)
}

fn is_clean_key(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && key
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
        && key != RESERVED
        && !key.starts_with("__")
}

fn clean_key(key: &str) -> String {
    let key = sanitize_label_key(key);
    // Prometheus reserves `__`, histograms reserve `le`.
    let key = match key.trim_start_matches('_') {
        bare if key.starts_with("__") => format!("_{bare}"),
        _ => key,
    };
    match key.as_str() {
        "" => "_".to_owned(),
        RESERVED => format!("exported_{RESERVED}"),
        _ => key,
    }
}

/// Returns the pairs of a sorted list that are labels, their values cut at the limit.
fn counted<'a>(sorted: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    sorted
        .iter()
        .enumerate()
        .filter(|(place, (key, value))| {
            let is_last_of_its_key = sorted.get(place + 1).is_none_or(|(next, _)| next != key);
            is_last_of_its_key && !value.is_empty()
        })
        .map(|(_, (key, value))| (*key, &value[..value.floor_char_boundary(MAX_VALUE_BYTES)]))
}

fn write_and_use<R>(pairs: &mut [(&str, &str)], with: impl FnOnce(Canonical<'_>) -> R) -> R {
    thread_local! { static BUFFER: Cell<String> = const { Cell::new(String::new()) } }
    // Stable, so that the later of two equal keys stays last.
    pairs.sort_by_key(|(key, _)| *key);
    // Taken out of the cell, because `with` may call this function again. `try_with`, because the destructor of
    // another thread-local may run after this thread-local is destroyed.
    let mut text = BUFFER.try_with(Cell::take).unwrap_or_default();
    text.clear();
    for (key, value) in counted(pairs) {
        write_pair(&mut text, key, value);
    }
    let result = with(Canonical {
        text: &text,
        sorted: pairs,
    });
    if text.capacity() <= MAX_VALUE_BYTES {
        let _ = BUFFER.try_with(|buffer| buffer.set(text));
    }
    result
}

fn write_pair(out: &mut String, key: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(key);
    out.push_str("=\"");
    escape(out, value);
    out.push('"');
}

/// Escapes backslash, quote and line feed, as the exposition formats require.
pub(crate) fn escape(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn set(labels: &[(&str, &str)]) -> LabelSet {
        with_canonical(labels.iter().copied(), |labels| labels.label_set())
    }

    fn text(labels: &[(&str, &str)]) -> String {
        set(labels).to_string()
    }

    /// Reads the pairs of a canonical text back, unescaped.
    fn pairs(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let (key, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let mut is_escaped = false;
            let end = after.bytes().position(|byte| {
                let ends = byte == b'"' && !is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                ends
            })?;
            rest = &after[end + 1..];
            Some((key, unescape(&after[..end])))
        })
    }

    fn unescape(value: &str) -> Cow<'_, str> {
        if !value.contains('\\') {
            return Cow::Borrowed(value);
        }
        let mut out = String::with_capacity(value.len());
        let mut characters = value.chars();
        while let Some(character) = characters.next() {
            let plain = match character {
                '\\' => match characters.next() {
                    Some('n') => '\n',
                    Some(escaped) => escaped,
                    None => '\\',
                },
                plain => plain,
            };
            let _ = out.write_char(plain);
        }
        Cow::Owned(out)
    }

    #[test]
    fn labels_are_sorted_empty_ones_dropped_and_the_later_of_a_key_counts() {
        assert_eq!(
            text(&[("b", "1"), ("a", "2"), ("c", ""), ("b", "3")]),
            r#"a="2",b="3""#
        );
        assert_eq!(text(&[("a", "1"), ("a", "")]), "");
    }

    #[test]
    fn keys_are_made_valid_and_reserved_ones_moved_aside() {
        assert_eq!(
            text(&[
                ("gen_ai.request.model", "x"),
                ("0", "y"),
                ("le", "z"),
                ("__name__", "n")
            ]),
            r#"_="y",_name__="n",exported_le="z",gen_ai_request_model="x""#
        );
        assert_eq!(metric_name("http.server/duration"), "http_server_duration");
        assert_eq!(counter_name("requests"), "requests_total");
        assert_eq!(counter_name("requests_total"), "requests_total");
    }

    #[test]
    fn more_labels_than_fit_the_stack_are_kept() {
        let labels: Vec<(String, String)> = (0..60)
            .map(|i| (format!("k{i:02}"), i.to_string()))
            .collect();
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs(&set(&labels)).count(), 60);
        assert_eq!(set(&labels).pairs().count(), 60);
    }

    #[test]
    fn folding_keeps_what_is_bounded_and_what_every_series_has() {
        let labels = [("model_id", "x"), ("region", "eu"), ("status", "error")];
        let everywhere = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        let folded = with_canonical(labels.into_iter(), |labels| labels.folded(&everywhere));
        assert_eq!(&*folded, r#"model_id="_other",region="eu",status="error""#);
        let pairs: Vec<_> = folded.pairs().collect();
        assert_eq!(
            pairs,
            [
                ("model_id", "_other"),
                ("region", "eu"),
                ("status", "error")
            ]
        );
    }

    proptest! {
        #[test]
        fn values_come_back_unharmed(values in proptest::collection::vec("(?s).{0,40}|[\"\\\\\n]{1,9}", 1..6)) {
            let labels: Vec<(String, &str)> = values.iter().enumerate().map(|(i, value)| (format!("k{i}"), value.as_str())).collect();
            let set = with_canonical(labels.iter().map(|(key, value)| (key.as_str(), *value)), |labels| labels.label_set());
            let back: Vec<(String, String)> = pairs(&set).map(|(key, value)| (key.to_owned(), value.into_owned())).collect();
            let kept: Vec<(String, String)> = set.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let expected: Vec<(String, String)> = labels.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.clone(), (*value).to_owned())).collect();
            prop_assert_eq!(&back, &expected);
            prop_assert_eq!(&kept, &expected);
            prop_assert!(!set.contains('\n'));
        }
    }
}
