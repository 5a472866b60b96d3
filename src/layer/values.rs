//! Defines the values of a span beside its labels, and the storage that a field reader writes to.

use crate::observation::{CacheResult, Kind, Outcome, TokenDetail, TokenSource};

/// The stored value of a number that was not recorded.
pub(super) const UNSET: u64 = u64::MAX;

/// [`Kind::Inference`] as a type, so that the compiler removes the checks of the kind.
#[derive(Clone, Copy)]
pub(super) struct AnInference;

impl From<AnInference> for Kind {
    #[inline]
    fn from(_: AnInference) -> Self {
        Self::Inference
    }
}

/// The storage that a [`FieldReader`](super::field_reader::FieldReader) writes values to: the
/// [`State`](super::open::State) of an open inference, or [`Values`] for all other spans and events.
pub(super) trait ValueTarget {
    /// [`AnInference`] for an inference, so that the compiler removes the checks of the kind; else [`Kind`].
    type Kind: Copy + Into<Kind>;

    /// Sets the output tokens, a number below [`UNSET`], as are all token counts.
    fn output_tokens(&mut self, tokens: u64);
    fn input_tokens(&mut self, tokens: u64);
    fn token_detail(&mut self, detail: TokenDetail, tokens: u64);
    fn queue_seconds(&mut self, seconds: f64);
    fn trace_id(&mut self, id: u128);
    fn span_id(&mut self, id: u64);
    fn outcome(&mut self, outcome: Outcome);
    fn source(&mut self, source: TokenSource);
    fn streaming(&mut self, is_streaming: bool);
    fn failed(&mut self);
    /// Marks a failure with an error type, which may be a timeout.
    fn failed_with(&mut self, has_timed_out: bool);

    // Values of the other kinds; an inference ignores these.
    fn status_code(&mut self, _: u16) {}
    fn request_size(&mut self, _: u64) {}
    fn response_size(&mut self, _: u64) {}
    fn cache(&mut self, _: CacheResult) {}
    fn client(&mut self, _: bool) {}
    fn messages_received(&mut self, _: u64) {}
    fn messages_sent(&mut self, _: u64) {}
    fn amount(&mut self, _: f64) {}
}

/// The values of a span or an event beside its labels.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) output: u64,
    pub(super) input: u64,
    pub(super) details: [u64; TokenDetail::ALL.len()],
    /// Bits of an `f64`.
    pub(super) queue_seconds: u64,
    pub(super) trace_high: u64,
    pub(super) trace_low: u64,
    pub(super) span: u64,
    pub(super) status: Option<Outcome>,
    pub(super) source: Option<TokenSource>,
    pub(super) is_streaming: Option<bool>,
    pub(super) has_failed: bool,
    pub(super) has_timed_out: bool,
    pub(super) status_code: Option<u16>,
    pub(super) request_size: Option<u64>,
    pub(super) response_size: Option<u64>,
    pub(super) cache: Option<CacheResult>,
    pub(super) is_client: bool,
    pub(super) messages_received: Option<u64>,
    pub(super) messages_sent: Option<u64>,
    pub(super) amount: Option<f64>,
}

impl Values {
    pub(super) const fn new() -> Self {
        Self {
            output: UNSET,
            input: UNSET,
            details: [UNSET; TokenDetail::ALL.len()],
            queue_seconds: UNSET,
            trace_high: UNSET,
            trace_low: UNSET,
            span: UNSET,
            status: None,
            source: None,
            is_streaming: None,
            has_failed: false,
            has_timed_out: false,
            status_code: None,
            request_size: None,
            response_size: None,
            cache: None,
            is_client: false,
            messages_received: None,
            messages_sent: None,
            amount: None,
        }
    }

    /// Replaces each value that `later` has.
    pub(super) fn extend(&mut self, later: &Self) {
        fn number(mine: &mut u64, later: u64) {
            if later != UNSET {
                *mine = later;
            }
        }
        number(&mut self.output, later.output);
        number(&mut self.input, later.input);
        for (mine, later) in self.details.iter_mut().zip(later.details) {
            number(mine, later);
        }
        number(&mut self.queue_seconds, later.queue_seconds);
        number(&mut self.trace_high, later.trace_high);
        number(&mut self.trace_low, later.trace_low);
        number(&mut self.span, later.span);
        self.status = later.status.or(self.status);
        self.source = later.source.or(self.source);
        self.is_streaming = later.is_streaming.or(self.is_streaming);
        self.has_failed |= later.has_failed;
        self.has_timed_out |= later.has_timed_out;
        self.status_code = later.status_code.or(self.status_code);
        self.request_size = later.request_size.or(self.request_size);
        self.response_size = later.response_size.or(self.response_size);
        self.cache = later.cache.or(self.cache);
        self.is_client |= later.is_client;
        self.messages_received = later.messages_received.or(self.messages_received);
        self.messages_sent = later.messages_sent.or(self.messages_sent);
        self.amount = later.amount.or(self.amount);
    }
}

impl ValueTarget for Values {
    type Kind = Kind;

    fn output_tokens(&mut self, tokens: u64) {
        self.output = tokens;
        self.amount = Some(tokens as f64);
    }

    fn input_tokens(&mut self, tokens: u64) {
        self.input = tokens;
    }

    fn token_detail(&mut self, detail: TokenDetail, tokens: u64) {
        self.details[detail as usize] = tokens;
    }

    fn queue_seconds(&mut self, seconds: f64) {
        self.queue_seconds = seconds.to_bits();
    }

    fn trace_id(&mut self, id: u128) {
        self.trace_high = (id >> 64) as u64;
        self.trace_low = id as u64;
    }

    fn span_id(&mut self, id: u64) {
        self.span = id;
    }

    fn outcome(&mut self, outcome: Outcome) {
        self.status = Some(outcome);
    }

    fn source(&mut self, source: TokenSource) {
        self.source = Some(source);
    }

    fn streaming(&mut self, is_streaming: bool) {
        self.is_streaming = Some(is_streaming);
    }

    fn failed(&mut self) {
        self.has_failed = true;
    }

    fn failed_with(&mut self, has_timed_out: bool) {
        self.has_failed = true;
        self.has_timed_out = has_timed_out;
    }

    fn status_code(&mut self, code: u16) {
        self.status_code = Some(code);
    }

    fn request_size(&mut self, bytes: u64) {
        self.request_size = Some(bytes);
    }

    fn response_size(&mut self, bytes: u64) {
        self.response_size = Some(bytes);
    }

    fn cache(&mut self, result: CacheResult) {
        self.cache = Some(result);
    }

    fn client(&mut self, is_client: bool) {
        self.is_client = is_client;
    }

    fn messages_received(&mut self, messages: u64) {
        self.messages_received = Some(messages);
    }

    fn messages_sent(&mut self, messages: u64) {
        self.messages_sent = Some(messages);
    }

    fn amount(&mut self, amount: f64) {
        self.amount = Some(amount);
    }
}
