//! Runs one delivery attempt with a timeout, and turns a panic of the notifier into an error.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::alerting::{FailureClass, Message, Notifier, NotifyError, NotifyFuture, Receipt};

/// Runs one attempt. The attempt fails after `timeout`, or if the notifier panics.
pub(super) async fn attempt(
    notifier: &dyn Notifier,
    message: &Message,
    timeout: Duration,
) -> Result<Receipt, NotifyError> {
    let future = catch_unwind(AssertUnwindSafe(|| notifier.notify(message)));
    let Ok(future) = future else {
        return Err(panicked());
    };
    let result = tokio::time::timeout(timeout, CatchUnwind(future)).await;
    result.unwrap_or_else(|_| {
        let text = format!("no answer within {timeout:?}");
        let error = NotifyError::new(FailureClass::DeadlineExceeded, text);
        Err(error.retryable().maybe_received())
    })
}

/// Resolves to an error if the inner future panics.
struct CatchUnwind<'a>(NotifyFuture<'a>);

impl Future for CatchUnwind<'_> {
    type Output = Result<Receipt, NotifyError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut();
        catch_unwind(AssertUnwindSafe(|| future.poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    }
}

fn panicked() -> NotifyError {
    NotifyError::new(FailureClass::Other, "the notifier panicked").maybe_received()
}
