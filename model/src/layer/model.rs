//! Models of the table of open inferences.

use super::{
    callsite::CallsitePlan,
    open::{OpenTable, State},
    values::ValueTarget as _,
};
use crate::{
    observation::{Outcome, TokenDetail},
    run::{Arc, check, thread},
    runtime::clock::Clock,
};

const PLAN: CallsitePlan = CallsitePlan {
    number: 3,
    declares_status: true,
};

pub fn run() {
    check(
        "a slot that is used again has no value of its earlier span",
        move || {
            let table = Arc::new(OpenTable::new());
            // Takes one of the two slots, so that both threads want the other.
            assert!(table.open(IDS[0], 0, &PLAN).is_some());
            let spans = [(IDS[1], 10), (IDS[2], 20)].map(|(id, tokens)| {
                let table = Arc::clone(&table);
                thread::spawn(move || span(&table, id, tokens))
            });
            let opened = spans.map(|span| span.join().unwrap());
            assert!(opened.contains(&true), "neither span found the free slot");
            assert!(table.get(IDS[0]).is_some());
            assert!(IDS[1..].iter().all(|id| table.get(*id).is_none()));
            // After the close of all, a span finds nothing of theirs.
            assert!(span(&table, IDS[1], 30));
        },
    );
    check(
        "the last reference sees the records of every thread",
        move || {
            let table = Arc::new(OpenTable::new());
            table.open(IDS[0], 0, &PLAN).unwrap();
            // The count of tracing's registry: a release at each drop, an acquire at the last.
            let references = Arc::new(crate::run::AtomicU64::new(2));
            let threads = [2, 3].map(|tokens| {
                let (table, references) = (Arc::clone(&table), Arc::clone(&references));
                thread::spawn(move || {
                    let mut state = table.get(IDS[0]).unwrap();
                    state.tokens(tokens, tokens);
                    if tokens == 2 {
                        state.outcome(Outcome::Success);
                    } else {
                        state.failed();
                    }
                    drop_reference(&table, &references, IDS[0])
                })
            });
            let closed = threads.map(|thread| thread.join().unwrap());
            assert_eq!(closed.iter().filter(|is_last| **is_last).count(), 1);
            assert!(table.get(IDS[0]).is_none());
        },
    );
}

/// Opens a span, records, closes it; returns whether it found a slot.
fn span(table: &OpenTable, id: u64, tokens: u64) -> bool {
    let Some(state) = table.open(id, 1, &PLAN) else {
        return false;
    };
    let fresh = ended(state);
    assert_eq!(fresh.tokens.output, None, "output of an earlier span");
    assert_eq!(fresh.tokens.input, None, "input of an earlier span");
    assert_eq!(
        fresh.outcome,
        Outcome::Cancelled,
        "outcome of an earlier span"
    );
    assert_eq!(fresh.time_to_first_token, None, "token of an earlier span");
    assert!(state.is_plain(), "details of an earlier span");
    let mut found = table.get(id).unwrap();
    found.tokens(tokens + 1, tokens);
    if tokens > 10 {
        // The provider's count takes precedence over the counted tokens.
        found.output_tokens(tokens);
        found.input_tokens(tokens);
    }
    found.token_detail(TokenDetail::ALL[0], tokens);
    found.outcome(Outcome::Error);
    let end = ended(table.get(id).unwrap());
    assert_eq!(end.tokens.output, Some(tokens));
    assert_eq!(end.outcome, Outcome::Error);
    state.reset_details();
    state.free();
    true
}

fn drop_reference(table: &OpenTable, references: &crate::run::AtomicU64, id: u64) -> bool {
    use std::sync::atomic::Ordering::AcqRel;
    if references.fetch_sub(1, AcqRel) != 1 {
        return false;
    }
    let state = table.get(id).unwrap();
    let end = ended(state);
    assert_eq!(end.tokens.output, Some(5), "tokens of a thread are missing");
    assert_eq!(end.outcome, Outcome::Error, "the failure is missing");
    assert!(end.time_to_first_token.is_some());
    state.reset_details();
    state.free();
    true
}

fn ended(state: &State) -> crate::observation::InferenceEnd {
    let mut end = state.end(&Clock, 100);
    if !state.is_plain() {
        state.add_details(&mut end, &Clock);
    }
    end
}

/// The copied table has a single row of two slots.
const IDS: [u64; 3] = [1, 2, 3];
