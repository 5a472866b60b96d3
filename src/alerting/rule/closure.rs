//! Evaluates conditions that are written as Rust closures.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::query::engine::{Control, Engine, QueryError, Value};
use crate::query::store::SeriesStore;

type Function = dyn Fn(&MetricsView<'_>) -> bool + Send + Sync;

/// A condition written as a Rust closure; see [`AlertRule::when`](super::AlertRule::when).
#[derive(Clone)]
pub(crate) struct WhenClosure {
    function: Arc<Function>,
    /// True if a thread is still running the closure.
    is_running: Arc<AtomicBool>,
}

/// Runs every closure on a thread of its own, so that a closure which does not return is an error of its rule and does
/// not block other rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosureThreads<'a> {
    pub(crate) store: &'a Arc<SeriesStore>,
    /// Time after which a running closure is reported as an error.
    pub(crate) timeout: Duration,
}

/// The current values of the observatory's series, as a closure sees them.
pub struct MetricsView<'a> {
    engine: &'a Engine,
    store: &'a SeriesStore,
    control: Control<'a>,
    now: i64,
    queries: RefCell<QueryOutcomes>,
}

/// The outcomes of the queries that a closure made.
#[derive(Debug, Default)]
struct QueryOutcomes {
    error: Option<QueryError>,
    has_result: bool,
    has_missing: bool,
}

/// The outcome of a closure.
#[derive(Debug)]
pub(crate) struct ClosureResult {
    pub(crate) is_met: bool,
    /// True if the closure made queries and none of them had a result.
    pub(crate) has_no_data: bool,
    /// Whether a query of the closure had no result.
    pub(crate) has_missing: bool,
}

impl WhenClosure {
    pub(super) fn new(
        condition: impl Fn(&MetricsView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            function: Arc::new(condition),
            is_running: Arc::default(),
        }
    }

    /// Runs the closure on a thread of its own. A closure that does not return in time is an error, and is not started
    /// again until it has returned.
    pub(crate) fn call_on_thread(
        &self,
        engine: &Engine,
        threads: ClosureThreads<'_>,
        now: i64,
    ) -> Result<ClosureResult, String> {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return Err("the closure has not returned from an earlier evaluation".to_owned());
        }
        let (closure, engine) = (self.clone(), engine.clone());
        let store = Arc::clone(threads.store);
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("obs-closure".to_owned());
        let started = thread.spawn(move || {
            crate::runtime::own_thread::mark();
            let view = MetricsView::new(&engine, &store, Control::default(), now);
            let result = closure.call(&view);
            closure.is_running.store(false, Ordering::Release);
            // The receiver is gone if the timeout has passed.
            let _ = sender.send(result);
        });
        if let Err(error) = started {
            self.is_running.store(false, Ordering::Release);
            return Err(format!("the closure's thread cannot be started: {error}"));
        }
        receiver.recv_timeout(threads.timeout).unwrap_or_else(|_| {
            let timeout = threads.timeout;
            Err(format!("the closure has not returned within {timeout:?}"))
        })
    }

    /// Runs the closure. A panic or a failed query is an error.
    pub(crate) fn call(&self, view: &MetricsView<'_>) -> Result<ClosureResult, String> {
        // A panic can leave only the closure's own state inconsistent: the view is dropped.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.function)(view)));
        let is_met =
            outcome.map_err(|panic| format!("the closure panicked: {}", panic_message(&*panic)))?;
        let queries = view.queries.take();
        match queries.error {
            Some(error) => Err(error.to_string()),
            None => Ok(ClosureResult {
                is_met,
                has_no_data: queries.has_missing && !queries.has_result,
                has_missing: queries.has_missing,
            }),
        }
    }
}

/// Returns the message of a panic, or `no text`.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no text"
    }
}

impl<'a> MetricsView<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        store: &'a SeriesStore,
        control: Control<'a>,
        now: i64,
    ) -> Self {
        Self {
            engine,
            store,
            control,
            now,
            queries: RefCell::default(),
        }
    }

    /// Returns the sum of the current samples of a series name, a selector or any other expression; NaN without
    /// samples.
    ///
    /// Every comparison with NaN is false, so a condition over a series that does not exist is not met:
    /// `metrics.value("daily_tokens") > metrics.value("token_limit")` needs both.
    #[must_use]
    pub fn value(&self, selector: &str) -> f64 {
        self.get(selector).unwrap_or(f64::NAN)
    }

    /// Returns the sum of the current samples of a series name, a selector or any other expression; `None` without
    /// samples. Note that `None < Some(_)` holds; comparisons of [`value`](Self::value) do not have this pitfall.
    ///
    /// A failing expression is an error of the rule.
    #[must_use]
    pub fn get(&self, selector: &str) -> Option<f64> {
        let value = self.query(selector);
        let mut queries = self.queries.borrow_mut();
        match value {
            Ok(Some(value)) => {
                queries.has_result = true;
                Some(value)
            }
            Ok(None) => {
                queries.has_missing = true;
                None
            }
            Err(error) => {
                queries.error.get_or_insert(error);
                None
            }
        }
    }

    /// Returns the time of the evaluation, in milliseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    fn query(&self, selector: &str) -> Result<Option<f64>, QueryError> {
        let prepared = self.engine.prepare(selector)?;
        let run = self.engine.run(self.store, &prepared);
        match run.with_control(self.control).at(self.now)?.value {
            Value::Scalar(point) => Ok(Some(point.value)),
            Value::Vector(samples) if samples.is_empty() => Ok(None),
            Value::Vector(samples) => Ok(Some(samples.iter().map(|s| s.point.value).sum())),
            Value::Matrix(_) | Value::String(..) => Err(QueryError::Execution(format!(
                "{selector:?} gives neither a vector nor a scalar"
            ))),
        }
    }
}

impl PartialEq for WhenClosure {
    /// Compares closures by identity.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.function, &other.function)
    }
}

impl fmt::Debug for WhenClosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenClosure")
    }
}

impl fmt::Debug for MetricsView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsView")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
