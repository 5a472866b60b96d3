//! Health checks: the trait, closures, and the type that both become.

use std::{fmt, pin::Pin, sync::Arc};

use super::CheckResult;

/// A health check.
///
/// The observatory calls `check` for each attempt, in the background. An async check runs on the application's runtime:
/// the runtime that is current when the check is registered, else the runtime that was current when the observatory was
/// built, else a thread of its own. A check that hangs, panics or blocks fails alone: an attempt ends after its timeout,
/// and no attempt starts while the previous attempt hangs.
///
/// Closures that return a future are checks, too:
///
/// ```
/// use llm_observatory::health::{CheckOptions, Health};
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// # fn example(health: &Health) -> Result<(), llm_observatory::health::HealthError> {
/// health.register("database", || async { ping().await })?;
/// # Ok(()) }
/// ```
pub trait HealthCheck: Send + Sync + 'static {
    /// Makes one attempt. An unhealthy result is an attempt that failed, which is retried.
    fn check(&self) -> impl Future<Output = CheckResult> + Send;
}

impl<F, T> HealthCheck for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output: Into<CheckResult>> + Send,
{
    async fn check(&self) -> CheckResult {
        self().await.into()
    }
}

/// The future of one attempt.
pub(super) type Attempt = Pin<Box<dyn Future<Output = CheckResult> + Send>>;

/// A check that can be registered: made of a [`HealthCheck`], or by [`Check::blocking`].
#[derive(Clone)]
pub struct Check(pub(super) Work);

/// The work of one attempt, and the place where it runs.
#[derive(Clone)]
pub(super) enum Work {
    /// Async work of the application.
    Application(Arc<dyn Fn() -> Attempt + Send + Sync>),
    /// Async work of this crate, which does not block: it runs on the observatory's own thread, so that the results do
    /// not depend on the application's runtime.
    Own(Arc<dyn Fn() -> Attempt + Send + Sync>),
    /// Work that blocks.
    Blocking(Arc<dyn Fn() -> CheckResult + Send + Sync>, Option<Hint>),
}

/// Returns the step that a check is at, for the message of an attempt that hangs.
pub(super) type Hint = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Check {
    /// Creates a check that blocks its thread: it runs on a thread of its own. Spans of that thread are not observed.
    ///
    /// ```
    /// use llm_observatory::health::{Check, CheckResult};
    ///
    /// let check = Check::blocking(|| match std::fs::metadata("/var/lib/models") {
    ///     Ok(_) => CheckResult::healthy("the models are mounted"),
    ///     Err(error) => CheckResult::unhealthy(error.to_string()),
    /// });
    /// ```
    pub fn blocking<R: Into<CheckResult>>(check: impl Fn() -> R + Send + Sync + 'static) -> Self {
        Self(Work::Blocking(Arc::new(move || check().into()), None))
    }

    /// Creates a check of this crate.
    pub(super) fn own<T>(check: impl Fn() -> T + Send + Sync + 'static) -> Self
    where
        T: Future<Output = CheckResult> + Send + 'static,
    {
        Self(Work::Own(Arc::new(move || Box::pin(check()))))
    }
}

impl<C: HealthCheck> From<C> for Check {
    fn from(check: C) -> Self {
        let check = Arc::new(check);
        Self(Work::Application(Arc::new(move || {
            let check = Arc::clone(&check);
            Box::pin(async move { check.check().await })
        })))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").finish_non_exhaustive()
    }
}
