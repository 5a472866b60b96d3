//! A notifier that panics fails its own message, and nothing else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::alerting::{FailureClass, Message, Notifier, NotifyError, NotifyFuture, Receipt};

/// One attempt, with a time limit, whatever the notifier does.
pub(super) async fn attempt(
    notifier: &dyn Notifier,
    message: &Message,
    timeout: Duration,
) -> Result<Receipt, NotifyError> {
    let future = catch_unwind(AssertUnwindSafe(|| notifier.notify(message)));
    let Ok(future) = future else {
        return Err(panicked());
    };
    let answer = tokio::time::timeout(timeout, CatchUnwind(future)).await;
    answer.unwrap_or_else(|_| {
        let text = format!("no answer within {timeout:?}");
        let error = NotifyError::new(FailureClass::DeadlineExceeded, text);
        Err(error.retryable().maybe_received())
    })
}

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
