//! Counts dropped observations and stores notices for the log.
//!
//! A sink must not log, because the Layer would pass the log event to the sink again. A sink stores a notice instead,
//! and the observatory's thread logs it. Each notice is stored once, up to a limit.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::cells::{Counter, Series};
use crate::{
    observation::Dropped,
    runtime::{lock, report_once::ReportOnce},
};

/// Max notices over the life of a process.
const MAX_NOTICES: usize = 100;
/// Max bytes of a field's name or value in a notice.
const MAX_DETAIL_BYTES: usize = 64;

/// The counters of dropped observations, and the notices for the log.
#[derive(Default)]
pub(crate) struct Diagnostics {
    dropped: [OnceLock<Arc<Series<Counter>>>; Dropped::ALL.len()],
    /// Reasons with a notice, a bit for each reason: a repeated drop takes no lock.
    reported: AtomicU32,
    notices: Mutex<Notices>,
}

struct Notices {
    known: ReportOnce<String>,
    pending: Vec<String>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            known: ReportOnce::forever(),
            pending: Vec::new(),
        }
    }
}

impl Diagnostics {
    /// Sets the counter of a reason.
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

    /// Counts a dropped observation, and stores a notice for the first of each reason. `masked` returns `what` without
    /// its secrets if it has any.
    pub(crate) fn dropped_with(
        &self,
        reason: Dropped,
        what: &str,
        masked: impl FnOnce() -> Option<String>,
    ) {
        self.dropped(reason);
        let is_first = self
            .reported
            .fetch_or(1 << reason as u32, Ordering::Relaxed)
            & 1 << reason as u32
            == 0;
        if is_first {
            let masked = masked();
            let what = masked.as_deref().unwrap_or(what);
            let what = &what[..what.floor_char_boundary(what.len().min(MAX_DETAIL_BYTES))];
            self.notice(format!(
                "{}: {what:?} (logged once; counted in observatory_dropped_observations_total)",
                advice(reason)
            ));
        }
    }

    pub(crate) fn kind_conflict(&self, name: &str, other: &str) {
        self.dropped(Dropped::KindConflict);
        self.notice(format!("metric {name} is in use as {other}: recordings of another kind are dropped; rename one of the two metrics"));
    }

    /// Stores a notice, once, for the observatory's thread to log.
    pub(crate) fn notice(&self, notice: String) {
        let mut notices = lock(&self.notices);
        if notices.known.len() < MAX_NOTICES
            && notices.known.is_due(notice.clone(), "", Duration::ZERO)
        {
            notices.pending.push(notice);
        }
    }

    /// Removes and returns the pending notices.
    pub(crate) fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.notices).pending)
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}

const fn advice(reason: Dropped) -> &'static str {
    match reason {
        Dropped::Negative => "a count, size or duration must not be negative",
        Dropped::OutOfRange => "a score must lie between 0 and 1, a count or size below 2^40",
        Dropped::NotANumber => "a value must be a finite number",
        Dropped::NotNumeric => "a field that must hold a number holds text",
        Dropped::Truncated => "the value of a label was cut at 512 bytes",
        Dropped::UnknownStatus => {
            "a status other than success, error, timeout, cancelled counts as other"
        }
        Dropped::UnknownKind => {
            "observatory.kind has a value outside the table of the documentation"
        }
        Dropped::KindConflict => "another kind of metric uses the name",
        Dropped::TooManyMetrics => "there are too many metrics; does a metric name contain an id?",
        Dropped::TooManyOpenSpans => "too many spans are open at once",
        Dropped::PanickingField => "the Debug or Display of a field panicked",
        Dropped::Content => {
            "a label with the content of a prompt, an answer or a header was left out"
        }
        Dropped::TooManyAlerts => "the application raises alerts faster than they are processed",
    }
}
