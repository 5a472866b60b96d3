//! Inferences that are open: in a table of our own, found by span id without a lock or an allocation.
//!
//! A span id has one owner until it closes, so plain stores into its slot are enough; the reference count of
//! tracing's registry orders a close after everything that was recorded. A span that finds both its places taken
//! is kept elsewhere.

use std::{
    sync::atomic::{
        AtomicU8, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use super::{
    callsite::Plan,
    kind::AnInference,
    values::{Target, UNSET},
};
use crate::{
    observation::{Handle, InferenceEnd, Outcome, TokenSource, Tokens, TraceReference},
    runtime::clock::Clock,
};

/// 256 KiB; more spans than this are open at once only where thousands of streams run.
const SLOTS: usize = 2048;
/// Places a span id may be in.
const PLACES: usize = 2;

/// What is known of one open inference. Numbers that were not recorded are [`UNSET`].
///
/// It has two cache lines of its own: the prefetcher takes pairs.
#[repr(align(128))]
pub(super) struct State {
    /// Of the span; 0: free.
    id: AtomicU64,
    start: AtomicU64,
    handle: AtomicU32,
    plan: AtomicU32,
    /// Class and component of its failure, as a number; 0 where none was recorded.
    failure: AtomicU32,
    output: AtomicU64,
    input: AtomicU64,
    cached: AtomicU64,
    queue_seconds: AtomicU64,
    /// Clock readings.
    first_token: AtomicU64,
    last_token: AtomicU64,
    /// Tokens counted by events.
    counted: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    span: AtomicU64,
    /// Number of the outcome plus one; 0 where none was recorded.
    status: AtomicU8,
    /// Number of the source plus one.
    source: AtomicU8,
    flags: AtomicU8,
}

/// It was recorded that it failed.
const FAILED: u8 = 1;
/// It was recorded that it timed out.
const TIMED_OUT: u8 = 2;
/// A panic unwound through it.
const PANICKED: u8 = 4;
/// It is streamed.
const STREAMING: u8 = 8;
/// It was opened by a destructor that runs in a panic, which is not its own.
const OPENED_IN_PANIC: u8 = 16;
/// Its callsite declares `status`.
const DECLARES_STATUS: u8 = 32;
/// More is known than status, input and output tokens.
const HAS_MORE: u8 = 64;
/// Class or component of its failure is known.
const HAS_FAILURE: u8 = 128;

/// As it is kept in `status`.
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
            cached: unset(),
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

    /// Forgets what few inferences say; the rest goes when the next one begins.
    pub(super) fn forget(&self) {
        for number in [
            &self.cached,
            &self.queue_seconds,
            &self.first_token,
            &self.last_token,
            &self.trace_high,
            &self.trace_low,
            &self.span,
        ] {
            number.store(UNSET, Relaxed);
        }
        self.counted.store(0, Relaxed);
        self.failure.store(0, Relaxed);
        self.source.store(0, Relaxed);
    }

    /// A state on its own, for a span that found no place.
    pub(super) fn new(start: u64, plan: &Plan) -> Self {
        let state = Self::vacant();
        state.begin(start, plan);
        state
    }

    /// Takes the place for a span, if it is free.
    #[inline]
    fn claim(&self, id: u64) -> bool {
        self.id.compare_exchange(0, id, Acquire, Relaxed).is_ok()
    }

    /// Takes a vacant place, or one that was given back.
    #[inline]
    fn begin(&self, start: u64, plan: &Plan) {
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

    /// Gives its place in the table back; call it after everything has been read, and forgotten.
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

    /// Whether there is more to say of its end than a status.
    pub(super) fn has_failed(&self) -> bool {
        self.flags.load(Relaxed) & (FAILED | TIMED_OUT | PANICKED | HAS_FAILURE) != 0
    }

    pub(super) fn fail(&self) {
        self.flags.fetch_or(FAILED, Relaxed);
    }

    /// A panic unwinds through it, unless it was opened in that panic.
    pub(super) fn panicked(&self) {
        if self.flags.load(Relaxed) & OPENED_IN_PANIC == 0 {
            self.flags.fetch_or(PANICKED, Relaxed);
        }
    }

    /// It closes while the thread panics. If it had said how it ended, it was merely still held; if the panic went
    /// through it, its exit told.
    pub(super) fn closed_in_panic(&self) {
        if self.status.load(Relaxed) == 0 {
            self.panicked();
        }
    }

    #[inline]
    pub(super) fn has_panicked(&self) -> bool {
        self.flags.load(Relaxed) & PANICKED != 0
    }

    /// The first token came at `now`, if none did before.
    pub(super) fn first_token(&self, now: u64) {
        self.flags.fetch_or(STREAMING | HAS_MORE, Relaxed);
        let _ = self
            .first_token
            .compare_exchange(UNSET, now, Relaxed, Relaxed);
    }

    /// `count` tokens came at `now`; gives back when the ones before them did.
    pub(super) fn tokens(&self, now: u64, count: u64) -> Option<u64> {
        self.first_token(now);
        self.counted.fetch_add(count, Relaxed);
        let before = self.last_token.swap(now, Relaxed);
        (before != UNSET).then_some(before)
    }

    /// How it went, at `now`, as far as most inferences say it.
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
                cached: None,
                source: match output {
                    Some(_) => TokenSource::Provider,
                    None => TokenSource::Counted,
                },
            },
            is_streaming: flags & STREAMING != 0,
            time_to_first_token: None,
            queue_duration: None,
            trace: None,
        }
    }

    /// Whether [`State::end`] says it all: there is nothing for [`State::add_more`] to add, and it did not fail.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.flags.load(Relaxed) & (HAS_MORE | FAILED | TIMED_OUT | PANICKED | HAS_FAILURE) == 0
    }

    /// Adds what most inferences do not say.
    #[inline(never)]
    pub(super) fn add_more(&self, end: &mut InferenceEnd, clock: &Clock) {
        let since_start = |at| clock.between(self.start.load(Relaxed), at);
        let counted = Some(self.counted.load(Relaxed)).filter(|count| *count > 0);
        end.tokens.output = end.tokens.output.or(counted);
        end.tokens.cached = known(&self.cached);
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

    /// Notes that [`State::add_more`] has something to add.
    fn more(&self) {
        self.flags.fetch_or(HAS_MORE, Relaxed);
    }

    #[inline]
    fn outcome(&self, flags: u8) -> Outcome {
        let status = match self.status.load(Relaxed) {
            // Nearly all are this one.
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

/// A number, if it was recorded.
#[inline]
fn known(cell: &AtomicU64) -> Option<u64> {
    Some(cell.load(Relaxed)).filter(|value| *value != UNSET)
}

/// The rules of how a span ended.
///
/// A Layer cannot tell a future that was dropped from one that finished: the callbacks are the same. So a span
/// that declares `status`, and closes without one, was given up; one that declares none never is.
#[expect(
    clippy::fn_params_excessive_bools,
    reason = "five facts, and the table of what follows from them"
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
        // What was said outright stands: who was cancelled may well have logged an error on the way.
        Some(outcome @ (Outcome::Timeout | Outcome::Cancelled)) => outcome,
        _ if has_timed_out => Outcome::Timeout,
        _ if has_failed => Outcome::Error,
        Some(outcome) => outcome,
        None if declares_status => Outcome::Cancelled,
        None => Outcome::Success,
    }
}

/// What is recorded goes straight to where it is kept.
impl Target for &State {
    type Kind = AnInference;

    #[inline]
    fn output_tokens(&mut self, tokens: u64) {
        self.output.store(tokens, Relaxed);
    }

    #[inline]
    fn input_tokens(&mut self, tokens: u64) {
        self.input.store(tokens, Relaxed);
    }

    fn cached_tokens(&mut self, tokens: u64) {
        self.cached.store(tokens, Relaxed);
        self.more();
    }

    fn queue_seconds(&mut self, seconds: f64) {
        self.queue_seconds.store(seconds.to_bits(), Relaxed);
        self.more();
    }

    fn trace_id(&mut self, id: u128) {
        self.trace_high.store((id >> 64) as u64, Relaxed);
        self.trace_low.store(id as u64, Relaxed);
        self.more();
    }

    fn span_id(&mut self, id: u64) {
        self.span.store(id, Relaxed);
        self.more();
    }

    #[inline]
    fn outcome(&mut self, outcome: Outcome) {
        self.status.store(outcome as u8 + 1, Relaxed);
    }

    fn source(&mut self, source: TokenSource) {
        self.source.store(source as u8 + 1, Relaxed);
        self.more();
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

/// Open inferences by span id.
pub(super) struct OpenTable(Box<Rows>);

/// Of a length that the compiler knows, so that a row in it needs no check.
type Rows = [[State; PLACES]; SLOTS / PLACES];

impl OpenTable {
    pub(super) fn new() -> Self {
        let row = |_| [const { State::vacant() }; PLACES];
        // Made on the heap, since a stack may not have room for it.
        let rows: Box<[_]> = (0..SLOTS / PLACES).map(row).collect();
        Self(
            rows.try_into()
                .unwrap_or_else(|_| unreachable!("it has as many rows")),
        )
    }

    /// A free place for an inference, if there is one; nothing is known of it yet but its start.
    #[inline]
    pub(super) fn open(&self, id: u64, start: u64, plan: &Plan) -> Option<&State> {
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
    fn a_place_is_found_while_it_is_open_and_free_afterwards() {
        let table = OpenTable::new();
        let plan = Plan::of_test(3);
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
