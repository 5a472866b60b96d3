//! Packs the labels of an observation into a stack buffer in canonical order.
//!
//! The packed bytes are the key of a label set: hashing or comparing a set processes about 60 bytes and allocates nothing.
//! A later value of a label replaces an earlier value. Values are truncated at [`MAX_VALUE_BYTES`], at a character
//! boundary.

use std::fmt;

use super::text::Text;

/// Max bytes of a label value; a longer value is truncated.
pub const MAX_VALUE_BYTES: usize = 512;

/// Bytes of the inline buffer. A value that fits the buffer needs no truncation.
const INLINE: usize = 192;
/// The value of `len` once the labels are in `long`.
const SPILLED: u8 = INLINE as u8 + 1;
/// Bytes before a value: 1 for the label, 2 for the length.
const HEADER: usize = 3;
/// The value of `last` once the labels are out of order; no label has this number.
const UNORDERED: u8 = u8::MAX;

macro_rules! labels {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $bounded:literal;)*) => {
        /// A label that an observation can carry.
        ///
        /// The order of the variants is the canonical order of the packed form. A span that declares its labels in this
        /// order saves the sorting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Label { $($(#[$doc])* $variant,)* }

        impl Label {
            /// Every label, in canonical order.
            pub const ALL: &'static [Label] = &[$(Label::$variant,)*];

            /// Returns the name as a Prometheus label.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Label::$variant => $name,)* }
            }

            /// Returns whether the values come from a small fixed set, so that an overflow series keeps them.
            #[must_use]
            pub const fn is_bounded(self) -> bool {
                match self { $(Label::$variant => $bounded,)* }
            }
        }
    };
}

labels! {
    /// Id of the called model, `gpt-4o`.
    ModelId = "model_id", false;
    /// Architecture of the model, `transformer`.
    ModelType = "model_type", false;
    /// Engine of the model, `vllm`.
    Engine = "engine", false;
    /// Operation: `chat`, `embeddings`; `get`; `SELECT`.
    Operation = "operation", true;
    /// The `GenAI` provider, `openai`.
    Provider = "gen_ai_provider_name", false;
    /// The model's name in the request.
    RequestModel = "gen_ai_request_model", false;
    /// The model's name in the response.
    ResponseModel = "gen_ai_response_model", false;
    /// Host of the provider.
    ServerAddress = "server_address", false;
    /// Port of the provider.
    ServerPort = "server_port", false;
    /// Class of an error, never its message.
    ErrorType = "error_type", false;
    /// Component that an error belongs to.
    Component = "component", false;
    /// HTTP method.
    Method = "method", true;
    /// HTTP route, `/v1/models/{model}`; never the raw path.
    Route = "route", false;
    /// HTTP status code.
    StatusCode = "status_code", true;
    /// Outcome of the operation.
    Status = "status", true;
    /// Name of a cache.
    CacheType = "cache_type", false;
    /// Table or collection of a database.
    Table = "table", false;
    /// Name of a queue.
    Queue = "queue", false;
    /// Routing strategy.
    Strategy = "strategy", true;
    /// Model that the router selected.
    SelectedModel = "selected_model", false;
    /// Reason for the selection.
    Reason = "reason", false;
    /// `http`, `grpc`, `websocket`, …
    ConnectionType = "connection_type", true;
    /// Model that a response was compared with.
    ComparisonModel = "comparison_model", false;
    /// `http` or `https`.
    UrlScheme = "url_scheme", true;
    /// Configured name of a called server.
    Peer = "peer_service", false;
    /// `package.Service/Method`.
    RpcMethod = "rpc_method", false;
    /// gRPC status, `DEADLINE_EXCEEDED`.
    RpcStatus = "rpc_response_status_code", true;
}

/// The label value of overflow series, which stand for all series beyond a metric's limit.
pub const OVERFLOW: &str = "_other";

/// The labels of an observation.
#[derive(Clone)]
pub struct Labels {
    inline: [u8; INLINE],
    /// Bytes used of `inline`; [`SPILLED`] once they are in `long`.
    len: u8,
    /// Number of the last set label, plus 1; [`UNORDERED`] once a label was set out of order.
    last: u8,
    truncated: u8,
    long: Option<Vec<u8>>,
}

impl Default for Labels {
    fn default() -> Self {
        Self::new()
    }
}

impl Labels {
    /// Returns an empty label set.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inline: [0; INLINE],
            len: 0,
            last: 0,
            truncated: 0,
            long: None,
        }
    }

    /// Returns whether the set has no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed().is_empty()
    }

    /// Sets `label`; an empty value means that it is absent.
    #[inline]
    pub fn set(&mut self, label: Label, value: &str) {
        if !self.push(label as u8, value.as_bytes()) {
            self.set_long(label, value);
        }
    }

    /// Appends a label; returns `false` if it does not fit `inline`.
    #[inline]
    fn push(&mut self, label: u8, value: &[u8]) -> bool {
        let number = label + 1;
        if number > self.last {
            self.last = number;
        } else {
            std::hint::cold_path();
            self.last = UNORDERED;
        }
        // A value of this length cannot overflow `end`, so the bounds check takes two comparisons.
        if value.len() <= INLINE {
            let start = usize::from(self.len);
            let end = start + HEADER + value.len();
            if let Some(place) = self.inline.get_mut(start..end)
                && let Some((head, body)) = place.split_first_chunk_mut::<HEADER>()
            {
                // The copy comes last, so that the call needs no stack frame.
                self.len = end as u8;
                *head = header(label, value);
                body.copy_from_slice(value);
                return true;
            }
        }
        false
    }

    /// Sets `label` to the text of `value`, without an allocation.
    pub fn set_fmt(&mut self, label: Label, value: fmt::Arguments<'_>) {
        let mut text = Text::new();
        // An error comes from the value's own `fmt`; the text printed before stays.
        let _ = fmt::write(&mut text, value);
        self.truncated = self.truncated.saturating_add(u8::from(text.is_truncated()));
        self.set(label, text.as_str());
    }

    /// Returns the value of `label`, if set.
    #[must_use]
    pub fn get(&self, label: Label) -> Option<&str> {
        // Skipped values need no UTF-8 check.
        let mut packed = Unpack {
            rest: self.packed(),
        };
        let mut last = None;
        while let Some((number, value)) = packed.next_raw() {
            if number == label as u8 {
                last = Some(value);
            }
        }
        let value = std::str::from_utf8(last?).unwrap_or_default();
        (!value.is_empty()).then_some(value)
    }

    /// Returns the value of `label`, or the empty string.
    #[must_use]
    pub fn value(&self, label: Label) -> &str {
        self.get(label).unwrap_or_default()
    }

    /// Returns the labels in the order in which they were set; in canonical order after [`Labels::canonical`].
    pub fn iter(&self) -> impl Iterator<Item = (Label, &str)> {
        Unpack {
            rest: self.packed(),
        }
    }

    /// Returns the number of values that were truncated at [`MAX_VALUE_BYTES`].
    #[must_use]
    pub const fn truncated(&self) -> u8 {
        self.truncated
    }

    /// Returns the name of a label whose value was truncated, for a notice.
    #[cold]
    pub(crate) fn truncated_name(&self) -> &'static str {
        // A value is truncated at a character boundary, and a character has up to four bytes.
        let is_cut = |(_, value): &(Label, &str)| value.len() + 4 > MAX_VALUE_BYTES;
        let cut = self.iter().find(is_cut);
        cut.map_or("a label", |(label, _)| label.name())
    }

    /// Adds the labels of `later`, which replace earlier values.
    pub fn extend(&mut self, later: &Labels) {
        let mut packed = Unpack {
            rest: later.packed(),
        };
        while let Some((label, value)) = packed.next_raw() {
            if !self.push(label, value) {
                self.spill(label, value);
            }
        }
    }

    /// Returns the packed canonical form, sorted by label, without duplicates: the key of a label set.
    #[inline]
    pub fn canonical(&mut self) -> &[u8] {
        if self.last == UNORDERED {
            self.sort();
        }
        self.packed()
    }

    /// Returns the labels with every unbounded value replaced by [`OVERFLOW`].
    pub(crate) fn overflowed(&self) -> Self {
        let mut folded = Self::new();
        for (label, value) in self.iter() {
            folded.set(label, if label.is_bounded() { value } else { OVERFLOW });
        }
        folded
    }

    /// Returns the labels without response model, server address and server port.
    pub(crate) fn without_details(&self) -> Self {
        let is_detail = |label| {
            matches!(
                label,
                Label::ResponseModel | Label::ServerAddress | Label::ServerPort
            )
        };
        self.iter()
            .filter(|(label, _)| !is_detail(*label))
            .collect()
    }

    /// Unpacks the bytes of [`Labels::canonical`].
    pub(crate) fn from_canonical(packed: &[u8]) -> Self {
        let mut labels = Self::new();
        if let Some(place) = labels.inline.get_mut(..packed.len()) {
            place.copy_from_slice(packed);
            labels.len = packed.len() as u8;
        } else {
            labels.long = Some(packed.to_vec());
            labels.len = SPILLED;
        }
        let last = Unpack { rest: packed }.last_label();
        labels.last = last.map_or(0, |label| label + 1);
        labels
    }

    #[inline]
    fn packed(&self) -> &[u8] {
        match self.inline.get(..usize::from(self.len)) {
            Some(inline) => inline,
            None => self.spilled(),
        }
    }

    #[cold]
    fn spilled(&self) -> &[u8] {
        self.long.as_deref().unwrap_or_default()
    }

    /// Sets a value that does not fit `inline`, and truncates it at [`MAX_VALUE_BYTES`].
    #[cold]
    #[inline(never)]
    fn set_long(&mut self, label: Label, value: &str) {
        let cut = &value[..value.floor_char_boundary(MAX_VALUE_BYTES)];
        if cut.len() < value.len() {
            self.truncated = self.truncated.saturating_add(1);
        }
        self.spill(label as u8, cut.as_bytes());
    }

    #[cold]
    #[inline(never)]
    fn spill(&mut self, label: u8, value: &[u8]) {
        let inline = &self.inline[..usize::from(self.len).min(INLINE)];
        let long = self.long.get_or_insert_with(|| inline.to_vec());
        long.extend_from_slice(&header(label, value));
        long.extend_from_slice(value);
        self.len = SPILLED;
    }

    #[cold]
    fn sort(&mut self) {
        let mut sorted = Self::new();
        for label in Label::ALL {
            if let Some(value) = self.get(*label) {
                sorted.set(*label, value);
            }
        }
        sorted.truncated = self.truncated;
        *self = sorted;
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(label, value)| (label.name(), value)))
            .finish()
    }
}

impl<'v> FromIterator<(Label, &'v str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Label, &'v str)>>(pairs: I) -> Self {
        let mut labels = Self::new();
        for (label, value) in pairs {
            if !value.is_empty() {
                labels.set(label, value);
            }
        }
        labels
    }
}

/// Returns the label and the length of its value, at most [`MAX_VALUE_BYTES`].
#[inline]
fn header(label: u8, value: &[u8]) -> [u8; HEADER] {
    let [low, high, ..] = value.len().to_le_bytes();
    [label, low, high]
}

struct Unpack<'p> {
    rest: &'p [u8],
}

impl<'p> Unpack<'p> {
    /// Returns number and value of the next label.
    #[inline]
    fn next_raw(&mut self) -> Option<(u8, &'p [u8])> {
        let (&[number, low, high], rest) = self.rest.split_first_chunk::<HEADER>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        self.rest = rest;
        Some((number, value))
    }

    fn last_label(mut self) -> Option<u8> {
        std::iter::from_fn(|| self.next_raw())
            .last()
            .map(|(number, _)| number)
    }
}

impl<'p> Iterator for Unpack<'p> {
    type Item = (Label, &'p str);

    fn next(&mut self) -> Option<Self::Item> {
        let (number, value) = self.next_raw()?;
        let label = *Label::ALL.get(usize::from(number))?;
        // Only valid strings are packed, so the default is never used.
        Some((label, std::str::from_utf8(value).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_later_value_of_a_label_wins() {
        let mut labels = Labels::new();
        labels.set(Label::Engine, "vllm");
        labels.set(Label::ModelId, "a");
        labels.set(Label::Engine, "sglang");
        let mut same = Labels::new();
        same.set(Label::ModelId, "a");
        same.set(Label::Engine, "sglang");
        assert_eq!(labels.canonical(), same.canonical());
        assert_eq!(labels.get(Label::Engine), Some("sglang"));
    }

    #[test]
    fn a_value_is_truncated_at_a_character_boundary_and_counted() {
        let mut labels = Labels::new();
        labels.set(Label::ModelId, &"é".repeat(1 << 20));
        labels.set_fmt(Label::Engine, format_args!("{}", "ü".repeat(1 << 20)));
        assert_eq!(
            labels.get(Label::ModelId).map(str::len),
            Some(MAX_VALUE_BYTES)
        );
        assert_eq!(
            labels.get(Label::Engine).map(str::len),
            Some(MAX_VALUE_BYTES)
        );
        assert_eq!(labels.truncated(), 2);
    }

    #[test]
    fn a_value_that_just_fits_and_one_that_does_not_read_back_alike() {
        for length in [INLINE - HEADER, INLINE - HEADER + 1, INLINE, INLINE + 1] {
            let value = "a".repeat(length);
            let mut labels = Labels::new();
            labels.set(Label::ModelId, &value);
            assert_eq!(labels.long.is_some(), length > INLINE - HEADER);
            labels.set(Label::Engine, "vllm");
            let mut later = Labels::new();
            later.extend(&labels);
            for labels in [labels, later] {
                assert_eq!(labels.value(Label::ModelId), value);
                assert_eq!(labels.value(Label::Engine), "vllm");
                assert_eq!(labels.truncated(), 0);
            }
        }
    }

    proptest! {
        #[test]
        fn values_round_trip_in_any_order(pairs in proptest::collection::vec((0..Label::ALL.len(), ".{0,90}"), 0..12)) {
            let forth: Labels = pairs.iter().map(|(label, value)| (Label::ALL[*label], value.as_str())).collect();
            let mut last = std::collections::BTreeMap::new();
            for (label, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
                last.insert(Label::ALL[*label], value.clone());
            }
            let mut back: Labels = last.iter().rev().map(|(label, value)| (*label, value.as_str())).collect();
            let mut forth = forth;
            prop_assert_eq!(forth.canonical(), back.canonical());
            for (label, value) in &last {
                prop_assert_eq!(forth.get(*label), Some(value.as_str()));
            }
            let mut unpacked = Labels::from_canonical(forth.canonical());
            prop_assert_eq!(unpacked.canonical(), forth.canonical());
        }
    }
}
