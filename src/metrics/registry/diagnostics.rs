//! What the observatory has to say about itself: counts of what it could not use, and a few sentences.
//!
//! A sink must not log (its event would come back to it), so a sentence is kept here until the observatory's
//! own thread takes it. Each is kept once, and not more than a few.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::cells::{Counter, Series};
use crate::observation::Dropped;

/// Sentences kept over the life of a process; a new one each second would be noise.
const MOST_NOTICES: usize = 100;
/// A field's name or value in a sentence is cut here.
const LONGEST_DETAIL: usize = 64;

/// Counts and sentences about the observatory itself.
#[derive(Default)]
pub(crate) struct Diagnostics {
    dropped: [OnceLock<Arc<Series<Counter>>>; Dropped::ALL.len()],
    /// Reasons that a sentence was said about, a bit each.
    reported: AtomicU32,
    notices: Mutex<Notices>,
}

#[derive(Default)]
struct Notices {
    said: BTreeSet<String>,
    waiting: Vec<String>,
}

impl Diagnostics {
    /// The series in which a reason is counted.
    pub(super) fn count_in(&self, reason: Dropped, series: Arc<Series<Counter>>) {
        if let Some(place) = self.dropped.get(reason as usize) {
            place.get_or_init(|| series);
        }
    }

    pub(crate) fn dropped(&self, reason: Dropped) {
        if let Some(series) = self.dropped.get(reason as usize).and_then(OnceLock::get) {
            series.add(1);
        }
    }

    /// Counts, and says so once for each reason.
    pub(crate) fn dropped_with(&self, reason: Dropped, what: &str) {
        self.dropped(reason);
        let is_first = self
            .reported
            .fetch_or(1 << reason as u32, Ordering::Relaxed)
            & 1 << reason as u32
            == 0;
        if is_first {
            let what = &what[..what.floor_char_boundary(what.len().min(LONGEST_DETAIL))];
            self.notice(format!(
                "{}: {what:?} (said once; counted in observatory_dropped_observations_total)",
                advice(reason)
            ));
        }
    }

    pub(crate) fn kind_conflict(&self, name: &str, other: &str) {
        self.dropped(Dropped::KindConflict);
        self.notice(format!("metric {name} is already in use as {other}: what is recorded to it as anything else is dropped; give one of them another name"));
    }

    /// Keeps a sentence, once, for the observatory's own thread to log.
    pub(crate) fn notice(&self, sentence: String) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.said.len() < MOST_NOTICES && notices.said.insert(sentence.clone()) {
            notices.waiting.push(sentence);
        }
    }

    /// Sentences nobody has seen yet.
    pub(crate) fn take_notices(&self) -> Vec<String> {
        std::mem::take(
            &mut self
                .notices
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .waiting,
        )
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}

const fn advice(reason: Dropped) -> &'static str {
    match reason {
        Dropped::Negative => "a count, size or duration must not be below 0",
        Dropped::OutOfRange => "a score must lie between 0 and 1, a count or size below 2^40",
        Dropped::NotANumber => "a value must be a finite number",
        Dropped::NotNumeric => "a field that must hold a number holds text",
        Dropped::Truncated => "a label value was cut at 512 bytes",
        Dropped::UnknownStatus => {
            "a status that is none of success, error, timeout, cancelled was counted as other"
        }
        Dropped::UnknownKind => "observatory.kind names no kind of the documentation's table",
        Dropped::KindConflict => "a metric's name is in use for another kind",
        Dropped::TooManyMetrics => "there are too many metrics; is a name made of an id?",
        Dropped::TooManyOpenSpans => "too many spans are open at once",
        Dropped::PanickingField => "the Debug or Display of a field panicked",
        Dropped::Content => {
            "a prompt, an answer or a header is no label of a metric or an alert: it was left out"
        }
        Dropped::TooManyAlerts => "alerts are raised faster than they are taken in",
    }
}
