//! The observer of a call: it sees the response, the body and the end, and records them in the span of the call.

use ::http::{HeaderMap, Response};
use http_body::Body;
use tracing::Span;

/// Observes a call from its request to the last byte of the response body. An observer that is dropped before the end
/// treats the call as cancelled.
pub trait CallObserver: Sized {
    /// Returns the span that is entered while the response and the body are polled.
    fn span(&self) -> &Span;

    /// Sets whether the call is being polled. An observer that is dropped during a poll was dropped by a panic.
    fn set_polling(&mut self, is_polling: bool);

    /// Notes that the response is not ready at a poll.
    fn on_pending(&mut self) {}

    /// Handles the head of the response; returns `None` if the call is complete with it.
    fn on_response<B: Body>(self, response: &Response<B>) -> Option<Self>;

    /// Returns the end of the call, which is recorded when the observer is dropped.
    fn completion(&mut self) -> &mut Completion;

    /// Handles the end of the body.
    fn on_end(mut self) {
        *self.completion() = Completion::Complete;
    }

    /// Handles an error of the call or of the body, given its class.
    fn on_error(mut self, class: &'static str) {
        *self.completion() = Completion::Failed(class);
    }
}

/// Observes the frames of a response body.
pub trait BodyObserver<D>: CallObserver {
    /// Handles a data frame; returns whether the body is complete with it.
    fn on_data(&mut self, data: &D) -> bool;

    /// Handles the trailers; returns whether the body is complete with them.
    fn on_trailers(&mut self, _trailers: &HeaderMap) -> bool {
        true
    }
}

/// The end of a call.
#[derive(Clone, Copy, Debug)]
pub enum Completion {
    /// Not ended. A call that is dropped in this state was cancelled.
    Open,
    /// Ended with the last byte.
    Complete,
    /// Ended with an error of this class.
    Failed(&'static str),
}

/// Returns the `status` of a failed call.
pub(super) fn failed_status(class: &str) -> &'static str {
    if class == "timeout" {
        "timeout"
    } else {
        "error"
    }
}
