//! The age and memory limits of a store, and a check of expressions against the age limits.

use std::time::Duration;

use crate::engine::syntax::{Expr, ExprKind, Selector};

/// The age and memory limits of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The age at which samples are dropped. Default: 1 h.
    pub time: Duration,
    /// The memory limit. Default: 64 MiB.
    ///
    /// At the limit, the store drops a sixteenth of it: first idle series, the series with the oldest last sample before the
    /// others, then the oldest samples of the other series, which keep at least their newest sample. A series is idle if its
    /// last sample is older than 5 minutes, or than [`time`](Self::time) if that is shorter.
    ///
    /// Labels and index may use three quarters of the limit. Beyond them, the store refuses new series unless a series is
    /// idle, and counts them in [`StoreStats::refused_series`](super::StoreStats::refused_series).
    ///
    /// A series with five labels whose values other series share takes 730 bytes without samples; a counter with samples every
    /// 10 seconds takes 1,440 bytes after an hour. A label value that no other series has takes about 100 bytes and its
    /// length. The default limit has room for 69,000 such series; 46,000 of them keep an hour of samples.
    /// The figures are of `cargo test --release -p promql-engine --test store_limit bytes_per_series -- --ignored
    /// --nocapture`; a test holds the count within a tenth of the bytes that are requested from the allocator, which may take
    /// more from the system.
    pub bytes: usize,
    /// The age at which samples of the coarse second tier are dropped. Default: 6 h.
    pub coarse_time: Duration,
    /// The time between two samples of the second tier. Default: 1 min.
    pub coarse_interval: Duration,
}

/// The error of a query that reads samples older than the retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{selector} looks back {needed:?}, but samples are kept for {kept:?}: raise `{setting}` or shorten the range"
)]
pub struct RetentionError {
    /// The selector.
    pub selector: String,
    /// The age of the oldest samples that the selector reads, with the ranges of enclosing subqueries.
    pub needed: Duration,
    /// The age up to which samples are kept.
    pub kept: Duration,
    /// The name of the setting to raise.
    pub setting: &'static str,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            time: Duration::from_hours(1),
            bytes: 64 << 20,
            coarse_time: Duration::from_hours(6),
            coarse_interval: Duration::from_mins(1),
        }
    }
}

impl Retention {
    /// Sets the age at which samples are dropped.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the memory limit; see [`bytes`](Self::bytes).
    #[must_use]
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the age at which samples of the second tier are dropped. An age up to `time` disables the tier.
    #[must_use]
    pub fn with_coarse_time(mut self, time: Duration) -> Self {
        self.coarse_time = time;
        self
    }
}

/// Checks that each selector of the expression reads samples within the retention, and returns the selectors that need the
/// second tier, for [`SeriesStore::keep_long`](super::SeriesStore::keep_long). The lookback of instant selectors and of
/// the modifiers `anchored` and `smoothed` is not counted.
///
/// # Errors
/// If a selector reads further back. The error names the selector, its needed age, the kept age and the setting.
pub fn check_ranges(
    expr: &Expr,
    retention: &Retention,
) -> Result<Vec<Vec<crate::Matcher>>, RetentionError> {
    let mut long = Vec::new();
    walk(expr, 0, &mut |selector: &Selector, back: i64| {
        let needed = Duration::from_millis(u64::try_from(back).unwrap_or(0));
        if needed > retention.time {
            long.push(selector.matchers.clone());
        }
        if needed <= retention.time.max(retention.coarse_time) {
            return Ok(());
        }
        Err(RetentionError {
            selector: selector.to_string(),
            needed,
            kept: retention.time.max(retention.coarse_time),
            setting: if retention.coarse_time > retention.time {
                "query.retention.coarse_time"
            } else {
                "query.retention.time"
            },
        })
    })?;
    Ok(long)
}

fn walk(
    expr: &Expr,
    back: i64,
    each: &mut dyn FnMut(&Selector, i64) -> Result<(), RetentionError>,
) -> Result<(), RetentionError> {
    // The distance of an absolute time from the present is not known before the query runs.
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => Ok(()),
        ExprKind::Selector(selector) => each(selector, back.saturating_add(selector.shift.offset)),
        ExprKind::Range(selector, range) => each(
            selector,
            back.saturating_add(selector.shift.offset)
                .saturating_add(*range),
        ),
        ExprKind::Subquery(subquery) => {
            let inside = back
                .saturating_add(subquery.shift.offset)
                .saturating_add(subquery.range);
            walk(&subquery.expr, inside, each)
        }
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => walk(inner, back, each),
        ExprKind::Call(_, args) => args.iter().try_for_each(|arg| walk(arg, back, each)),
        ExprKind::Aggregate(aggregation) => {
            if let Some(param) = &aggregation.param {
                walk(param, back, each)?;
            }
            walk(&aggregation.expr, back, each)
        }
        ExprKind::Binary(binary) => {
            walk(&binary.left, back, each)?;
            walk(&binary.right, back, each)
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
