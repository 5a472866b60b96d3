//! Stores open inferences in a table by span id, without a lock or an allocation.
//!
//! A span id belongs to a single span until that span closes, so relaxed stores into its slot suffice; the reference
//! count of tracing's registry orders the close after all records. A span whose two slots are taken goes to
//! [`OverflowSpans`](super::overflow_spans::OverflowSpans).

use std::{
    sync::atomic::{
        AtomicU8, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use super::{
    callsite::CallsitePlan,
    values::{AnInference, UNSET, ValueTarget},
};
use crate::{
    observation::{
        Handle, InferenceEnd, Outcome, TokenDetail, TokenSource, Tokens, TraceReference,
    },
    runtime::clock::Clock,
};

/// Slots of the table, 256 KiB. Only a service with thousands of concurrent streams needs more.
const SLOTS: usize = 2048;
/// Slots that a span id may take.
const PLACES: usize = 2;

/// An open inference. A number that was not recorded is [`UNSET`].
///
/// The alignment gives each state two cache lines of its own, because the prefetcher loads pairs of lines.
#[repr(align(128))]
pub(super) struct State {
    /// Id of the span; 0 in a free slot.
    id: AtomicU64,
    start: AtomicU64,
    handle: AtomicU32,
    plan: AtomicU32,
    /// Number of the label set of the failure; 0 if no failure was recorded.
    failure: AtomicU32,
    output: AtomicU64,
    input: AtomicU64,
    details: [AtomicU64; TokenDetail::ALL.len()],
    queue_seconds: AtomicU64,
    /// Clock reading at the first token.
    first_token: AtomicU64,
    /// Clock reading at the last token.
    last_token: AtomicU64,
    /// Tokens counted by events.
    counted: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    span: AtomicU64,
    /// Number of the outcome plus one; 0 if no status was recorded.
    status: AtomicU8,
    /// Number of the source plus one.
    source: AtomicU8,
    flags: AtomicU8,
}

/// A failure was recorded.
const FAILED: u8 = 1;
/// A timeout was recorded.
const TIMED_OUT: u8 = 2;
/// A panic unwound through the span.
const PANICKED: u8 = 4;
/// The answer is streamed.
const STREAMING: u8 = 8;
/// The span was opened by a destructor that runs during a panic, which does not count as the span's own.
const OPENED_IN_PANIC: u8 = 16;
/// The span's callsite declares `status`.
const DECLARES_STATUS: u8 = 32;
/// The state has values beside status, input and output tokens.
const HAS_DETAILS: u8 = 64;
/// The error type or the component of the failure is known.
const HAS_FAILURE: u8 = 128;

/// [`Outcome::Success`] as stored in `status`.
const SUCCESS: u8 = Outcome::Success as u8 + 1;

impl State {
    const fn vacant() -> Self {
        const fn unset() -> AtomicU64 {
            AtomicU64::new(UNSET)
        }
        Self {
            id: AtomicU64::new(0),
            start: AtomicU64::new(0),
            handle: AtomicU32::new(0),
            plan: AtomicU32::new(0),
            failure: AtomicU32::new(0),
            output: unset(),
            input: unset(),
            details: [const { unset() }; TokenDetail::ALL.len()],
            queue_seconds: unset(),
            first_token: unset(),
            last_token: unset(),
            counted: AtomicU64::new(0),
            trace_high: unset(),
            trace_low: unset(),
            span: unset(),
            status: AtomicU8::new(0),
            source: AtomicU8::new(0),
            flags: AtomicU8::new(0),
        }
    }

    /// Resets the values that few inferences have; [`State::begin`] resets the others.
    pub(super) fn reset_details(&self) {
        for number in [
            &self.queue_seconds,
            &self.first_token,
            &self.last_token,
            &self.trace_high,
            &self.trace_low,
            &self.span,
        ] {
            number.store(UNSET, Relaxed);
        }
        for count in &self.details {
            count.store(UNSET, Relaxed);
        }
        self.counted.store(0, Relaxed);
        self.failure.store(0, Relaxed);
        self.source.store(0, Relaxed);
    }

    /// Returns a state outside the table.
    pub(super) fn new(start: u64, plan: &CallsitePlan) -> Self {
        let state = Self::vacant();
        state.begin(start, plan);
        state
    }

    /// Takes the slot for a span; `false` if the slot is taken.
    #[inline]
    fn claim(&self, id: u64) -> bool {
        self.id.compare_exchange(0, id, Acquire, Relaxed).is_ok()
    }

    /// Resets the state for a new inference.
    #[inline]
    fn begin(&self, start: u64, plan: &CallsitePlan) {
        self.start.store(start, Relaxed);
        self.plan.store(plan.number, Relaxed);
        self.output.store(UNSET, Relaxed);
        self.input.store(UNSET, Relaxed);
        self.status.store(0, Relaxed);
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(plan.declares_status, DECLARES_STATUS)
            | flag(std::thread::panicking(), OPENED_IN_PANIC);
        self.flags.store(flags, Relaxed);
    }

    /// Frees the slot. The caller must have read the values and called [`State::reset_details`].
    #[inline]
    pub(super) fn free(&self) {
        self.id.store(0, Release);
    }

    #[inline]
    pub(super) fn plan(&self) -> u32 {
        self.plan.load(Relaxed)
    }

    #[inline]
    pub(super) fn handle(&self) -> Handle {
        Handle(self.handle.load(Relaxed))
    }

    #[inline]
    pub(super) fn set_handle(&self, handle: Handle) {
        self.handle.store(handle.0, Relaxed);
    }

    pub(super) fn failure(&self) -> u32 {
        self.failure.load(Relaxed)
    }

    pub(super) fn set_failure(&self, failure: u32) {
        self.failure.store(failure, Relaxed);
        self.flags.fetch_or(HAS_FAILURE, Relaxed);
    }

    /// Returns whether the inference failed or panicked, whatever its status.
    pub(super) fn has_failed(&self) -> bool {
        self.flags.load(Relaxed) & (FAILED | TIMED_OUT | PANICKED | HAS_FAILURE) != 0
    }

    pub(super) fn fail(&self) {
        self.flags.fetch_or(FAILED, Relaxed);
    }

    /// Marks a panic, unless the span was opened during that panic.
    pub(super) fn mark_panicked(&self) {
        if self.flags.load(Relaxed) & OPENED_IN_PANIC == 0 {
            self.flags.fetch_or(PANICKED, Relaxed);
        }
    }

    /// Handles a close during a panic. A span with a recorded status had ended before; a span that the panic unwound
    /// through was marked at its exit.
    pub(super) fn close_in_panic(&self) {
        if self.status.load(Relaxed) == 0 {
            self.mark_panicked();
        }
    }

    #[inline]
    pub(super) fn has_panicked(&self) -> bool {
        self.flags.load(Relaxed) & PANICKED != 0
    }

    /// Sets the time of the first token, unless the time is set.
    pub(super) fn first_token(&self, now: u64) {
        self.flags.fetch_or(STREAMING | HAS_DETAILS, Relaxed);
        let _ = self
            .first_token
            .compare_exchange(UNSET, now, Relaxed, Relaxed);
    }

    /// Adds `count` tokens at `now`; returns the time of the tokens before.
    pub(super) fn tokens(&self, now: u64, count: u64) -> Option<u64> {
        self.first_token(now);
        self.counted.fetch_add(count, Relaxed);
        let before = self.last_token.swap(now, Relaxed);
        (before != UNSET).then_some(before)
    }

    /// Returns the end of the inference at `now`, without the values that few inferences have.
    #[inline]
    pub(super) fn end(&self, clock: &Clock, now: u64) -> InferenceEnd {
        let flags = self.flags.load(Relaxed);
        let output = known(&self.output);
        InferenceEnd {
            outcome: self.outcome(flags),
            duration: clock.between(self.start.load(Relaxed), now),
            tokens: Tokens {
                input: known(&self.input),
                output,
                source: match output {
                    Some(_) => TokenSource::Provider,
                    None => TokenSource::Counted,
                },
                ..Tokens::unknown()
            },
            is_streaming: flags & STREAMING != 0,
            time_to_first_token: None,
            queue_duration: None,
            trace: None,
        }
    }

    /// Returns whether [`State::end`] is complete: no failure, and no values for [`State::add_details`].
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.flags.load(Relaxed) & (HAS_DETAILS | FAILED | TIMED_OUT | PANICKED | HAS_FAILURE) == 0
    }

    /// Adds the values that few inferences have.
    #[inline(never)]
    pub(super) fn add_details(&self, end: &mut InferenceEnd, clock: &Clock) {
        let since_start = |at| clock.between(self.start.load(Relaxed), at);
        let counted = Some(self.counted.load(Relaxed)).filter(|count| *count > 0);
        end.tokens.output = end.tokens.output.or(counted);
        for (detail, count) in TokenDetail::ALL.into_iter().zip(&self.details) {
            end.tokens.set_detail(detail, known(count));
        }
        if let Some(place) = self.source.load(Relaxed).checked_sub(1)
            && let Some(source) = TokenSource::ALL.get(usize::from(place))
        {
            end.tokens.source = *source;
        }
        end.time_to_first_token = known(&self.first_token).map(since_start);
        end.queue_duration = known(&self.queue_seconds)
            .and_then(|bits| Duration::try_from_secs_f64(f64::from_bits(bits)).ok());
        end.trace = known(&self.trace_low).map(|low| TraceReference {
            trace_id: u128::from(known(&self.trace_high).unwrap_or(0)) << 64 | u128::from(low),
            span_id: known(&self.span).unwrap_or(0),
            time: clock.wall(),
        });
    }

    /// Returns the facts about the inference that its span does not record.
    #[cfg(feature = "otlp")]
    pub(super) fn facts(&self, clock: &Clock) -> crate::traces::InferenceFacts {
        let flags = self.flags.load(Relaxed);
        let counted = Some(self.counted.load(Relaxed)).filter(|count| *count > 0);
        crate::traces::InferenceFacts {
            is_cancelled: self.outcome(flags) == Outcome::Cancelled,
            counted_tokens: counted.filter(|_| known(&self.output).is_none()),
            first_token: known(&self.first_token)
                .map(|at| clock.between(self.start.load(Relaxed), at)),
        }
    }

    /// Marks that [`State::add_details`] has values to add.
    fn mark_details(&self) {
        self.flags.fetch_or(HAS_DETAILS, Relaxed);
    }

    #[inline]
    fn outcome(&self, flags: u8) -> Outcome {
        let status = match self.status.load(Relaxed) {
            // The common case.
            SUCCESS if flags & (FAILED | TIMED_OUT | PANICKED) == 0 => return Outcome::Success,
            0 => None,
            number => Outcome::ALL.get(usize::from(number - 1)).copied(),
        };
        if let Some(outcome) = status
            && flags & (FAILED | TIMED_OUT | PANICKED) == 0
        {
            return outcome;
        }
        outcome(
            status,
            flags & FAILED != 0,
            flags & TIMED_OUT != 0,
            flags & PANICKED != 0,
            flags & DECLARES_STATUS != 0,
        )
    }
}

/// Returns a recorded number.
#[inline]
fn known(cell: &AtomicU64) -> Option<u64> {
    Some(cell.load(Relaxed)).filter(|value| *value != UNSET)
}

/// Returns the outcome of a closed span.
///
/// A Layer cannot distinguish a dropped future from a finished future: the callbacks are the same. A span that declares
/// `status` and closes without a recorded status therefore counts as cancelled; a span that does not declare `status`
/// never counts as cancelled.
#[expect(
    clippy::fn_params_excessive_bools,
    reason = "five independent inputs of a decision table"
)]
pub(super) fn outcome(
    status: Option<Outcome>,
    has_failed: bool,
    has_timed_out: bool,
    has_panicked: bool,
    declares_status: bool,
) -> Outcome {
    match status {
        _ if has_panicked => Outcome::Error,
        // An explicit status wins: a cancelled call may have logged an error before.
        Some(outcome @ (Outcome::Timeout | Outcome::Cancelled)) => outcome,
        _ if has_timed_out => Outcome::Timeout,
        _ if has_failed => Outcome::Error,
        Some(outcome) => outcome,
        None if declares_status => Outcome::Cancelled,
        None => Outcome::Success,
    }
}

/// Writes each value directly into the slot.
impl ValueTarget for &State {
    type Kind = AnInference;

    #[inline]
    fn output_tokens(&mut self, tokens: u64) {
        self.output.store(tokens, Relaxed);
    }

    #[inline]
    fn input_tokens(&mut self, tokens: u64) {
        self.input.store(tokens, Relaxed);
    }

    fn token_detail(&mut self, detail: TokenDetail, tokens: u64) {
        self.details[detail as usize].store(tokens, Relaxed);
        self.mark_details();
    }

    fn queue_seconds(&mut self, seconds: f64) {
        self.queue_seconds.store(seconds.to_bits(), Relaxed);
        self.mark_details();
    }

    fn trace_id(&mut self, id: u128) {
        self.trace_high.store((id >> 64) as u64, Relaxed);
        self.trace_low.store(id as u64, Relaxed);
        self.mark_details();
    }

    fn span_id(&mut self, id: u64) {
        self.span.store(id, Relaxed);
        self.mark_details();
    }

    #[inline]
    fn outcome(&mut self, outcome: Outcome) {
        self.status.store(outcome as u8 + 1, Relaxed);
    }

    fn source(&mut self, source: TokenSource) {
        self.source.store(source as u8 + 1, Relaxed);
        self.mark_details();
    }

    fn streaming(&mut self, is_streaming: bool) {
        if is_streaming {
            self.flags.fetch_or(STREAMING, Relaxed);
        } else {
            self.flags.fetch_and(!STREAMING, Relaxed);
        }
    }

    fn failed(&mut self) {
        self.fail();
    }

    fn failed_with(&mut self, has_timed_out: bool) {
        let timed_out = if has_timed_out { TIMED_OUT } else { 0 };
        self.flags.fetch_or(FAILED | timed_out, Relaxed);
    }
}

/// The table of open inferences, by span id.
pub(super) struct OpenTable(Box<Rows>);

/// A fixed-size array, so that indexing needs no bounds check.
type Rows = [[State; PLACES]; SLOTS / PLACES];

impl OpenTable {
    pub(super) fn new() -> Self {
        let row = |_| [const { State::vacant() }; PLACES];
        // Built on the heap, because the stack may be too small.
        let rows: Box<[_]> = (0..SLOTS / PLACES).map(row).collect();
        Self(
            rows.try_into()
                .unwrap_or_else(|_| unreachable!("the iterator yields as many rows")),
        )
    }

    /// Takes a free slot for a new inference; `None` if both slots are taken.
    #[inline]
    pub(super) fn open(&self, id: u64, start: u64, plan: &CallsitePlan) -> Option<&State> {
        let [first, second] = self.places(id);
        let state = if first.claim(id) {
            first
        } else if second.claim(id) {
            second
        } else {
            return None;
        };
        state.begin(start, plan);
        Some(state)
    }

    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<&State> {
        let [first, second] = self.places(id);
        if first.id.load(Relaxed) == id {
            return Some(first);
        }
        (second.id.load(Relaxed) == id).then_some(second)
    }

    #[inline]
    fn places(&self, id: u64) -> &[State; PLACES] {
        // The product's high bits are the well-mixed ones.
        let hash = (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        &self.0[hash % (SLOTS / PLACES)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_follow_the_contract() {
        use Outcome::{Cancelled, Error, Other, Success, Timeout};
        // status, failed, timed out, panicked, declares a status
        let cases = [
            ((None, false, false, false, false), Success),
            ((None, false, false, false, true), Cancelled),
            ((None, true, false, false, true), Error),
            ((None, true, true, false, true), Timeout),
            ((None, false, false, true, true), Error),
            ((Some(Success), false, false, false, true), Success),
            ((Some(Success), true, false, false, true), Error),
            ((Some(Success), false, false, true, true), Error),
            ((Some(Error), true, true, false, true), Timeout),
            ((Some(Cancelled), true, false, false, true), Cancelled),
            ((Some(Timeout), false, false, false, true), Timeout),
            ((Some(Other), false, false, false, true), Other),
            ((Some(Other), true, false, false, true), Error),
        ];
        for (case, expected) in cases {
            let (status, failed, timed_out, panicked, declares) = case;
            assert_eq!(
                outcome(status, failed, timed_out, panicked, declares),
                expected,
                "{case:?}"
            );
        }
    }

    #[test]
    fn a_slot_is_found_while_its_span_is_open_and_free_afterwards() {
        let table = OpenTable::new();
        let plan = CallsitePlan::of_test(3);
        let ids: Vec<u64> = (1..=10_000)
            .filter(|id| {
                let state = table.open(*id, 1, &plan);
                state.is_some_and(|state| {
                    state.set_handle(Handle(7));
                    true
                })
            })
            .collect();
        assert!(
            ids.len() > SLOTS / 2,
            "{} of {SLOTS} places found an owner",
            ids.len()
        );
        for id in &ids {
            assert_eq!(table.get(*id).map(State::handle), Some(Handle(7)));
            table.get(*id).unwrap().free();
            assert!(table.get(*id).is_none());
        }
    }
}
