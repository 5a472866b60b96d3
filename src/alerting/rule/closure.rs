//! Conditions in Rust, and what they see.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::query::engine::{Control, Engine, QueryError, Value};
use crate::query::store::SeriesStore;

type Function = dyn Fn(&MetricsView<'_>) -> bool + Send + Sync;

/// A condition in Rust; see [`AlertRule::when`](super::AlertRule::when).
#[derive(Clone)]
pub struct WhenClosure {
    function: Arc<Function>,
    /// Whether a thread is still in it.
    is_running: Arc<AtomicBool>,
}

/// Where closures are asked: each on a thread of its own, so that one that does not return is its own rule's error
/// and holds up nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosureThreads<'a> {
    pub(crate) store: &'a Arc<SeriesStore>,
    /// Time that is waited for an answer.
    pub(crate) patience: Duration,
}

/// The current values of the observatory's series, for a condition in Rust.
pub struct MetricsView<'a> {
    engine: &'a Engine,
    store: &'a SeriesStore,
    control: Control<'a>,
    now: i64,
    seen: RefCell<Seen>,
}

/// What a closure asked for.
#[derive(Debug, Default)]
struct Seen {
    error: Option<QueryError>,
    found: bool,
    missed: bool,
}

/// What a closure said.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) is_met: bool,
    /// It asked for something and found none of it.
    pub(crate) saw_no_data: bool,
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

    /// Asks the closure on a thread of its own. One that has not returned in time is an error, and is not asked
    /// again until it has.
    pub(crate) fn ask_on_thread(
        &self,
        engine: &Engine,
        threads: ClosureThreads<'_>,
        now: i64,
    ) -> Result<Verdict, String> {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return Err("the closure has not returned from an earlier evaluation".to_owned());
        }
        let (closure, engine) = (self.clone(), engine.clone());
        let store = Arc::clone(threads.store);
        let (answer, answered) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("obs-closure".to_owned());
        let started = thread.spawn(move || {
            crate::runtime::own_thread::mark();
            let view = MetricsView::new(&engine, &store, Control::default(), now);
            let verdict = closure.ask(&view);
            closure.is_running.store(false, Ordering::Release);
            // Nobody may be waiting any more.
            let _ = answer.send(verdict);
        });
        if let Err(error) = started {
            self.is_running.store(false, Ordering::Release);
            return Err(format!("the closure's thread cannot be started: {error}"));
        }
        answered.recv_timeout(threads.patience).unwrap_or_else(|_| {
            let patience = threads.patience;
            Err(format!("the closure has not returned within {patience:?}"))
        })
    }

    /// Asks the closure. A panic, and a query that failed, are errors.
    pub(crate) fn ask(&self, view: &MetricsView<'_>) -> Result<Verdict, String> {
        // What a panic can leave half done is the closure's own: the view is dropped.
        let answer = catch_unwind(AssertUnwindSafe(|| (self.function)(view)));
        let is_met =
            answer.map_err(|panic| format!("the closure panicked: {}", text_of(&*panic)))?;
        let seen = view.seen.take();
        match seen.error {
            Some(error) => Err(error.to_string()),
            None => Ok(Verdict {
                is_met,
                saw_no_data: seen.missed && !seen.found,
            }),
        }
    }
}

/// The text of a panic, where it has one.
pub(crate) fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
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
            seen: RefCell::default(),
        }
    }

    /// The sum of the current samples of a series name, a selector or any other expression; NaN where there is
    /// none.
    ///
    /// Every comparison with NaN is false, so a condition over a series that does not exist is not met:
    /// `metrics.value("daily_tokens") > metrics.value("token_limit")` needs both.
    #[must_use]
    pub fn value(&self, selector: &str) -> f64 {
        self.get(selector).unwrap_or(f64::NAN)
    }

    /// The sum of the current samples of a series name, a selector or any other expression; `None` where there is
    /// none. Mind that `None` is less than every `Some`; [`value`](Self::value) has no such trap.
    ///
    /// An expression that fails is the rule's error.
    #[must_use]
    pub fn get(&self, selector: &str) -> Option<f64> {
        let value = self.query(selector);
        let mut seen = self.seen.borrow_mut();
        match value {
            Ok(Some(value)) => {
                seen.found = true;
                Some(value)
            }
            Ok(None) => {
                seen.missed = true;
                None
            }
            Err(error) => {
                seen.error.get_or_insert(error);
                None
            }
        }
    }

    /// The time of the evaluation, in milliseconds since the epoch.
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
    /// Whether both are the same closure.
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
