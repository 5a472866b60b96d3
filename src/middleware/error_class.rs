//! Classifies the errors of services and bodies. The class of an error is a label; the message of an error never is.

use std::{any::Any, error::Error, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// The class of an error of unknown type.
pub(super) const UNKNOWN: &str = "error";

/// Returns the class of an error: `timeout`, `connection_reset`, …, or `error` if its type is unknown.
pub(super) fn classify<E: 'static>(error: &E) -> &'static str {
    let error: &dyn Any = error;
    if let Some(error) = error.downcast_ref::<BoxError>() {
        return classify_chain(&**error);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return classify_chain(error);
    }
    #[cfg(feature = "http")]
    if let Some(error) = error.downcast_ref::<axum::Error>() {
        return classify_chain(error);
    }
    #[cfg(feature = "http")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return classify_chain(error);
    }
    UNKNOWN
}

/// Returns the class of the first error in the chain of causes that has a class.
fn classify_chain(error: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(class) = classify_one(error) {
            return class;
        }
        next = error.source();
    }
    UNKNOWN
}

fn classify_one(error: &(dyn Error + 'static)) -> Option<&'static str> {
    #[cfg(feature = "http")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return classify_reqwest(error);
    }
    let error = error.downcast_ref::<io::Error>()?;
    Some(match error.kind() {
        io::ErrorKind::TimedOut => "timeout",
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::ConnectionReset => "connection_reset",
        io::ErrorKind::ConnectionAborted => "connection_aborted",
        io::ErrorKind::BrokenPipe => "broken_pipe",
        io::ErrorKind::UnexpectedEof => "unexpected_eof",
        // The wrapped error may have a class, and `source` skips it.
        _ => return error.get_ref().and_then(|error| classify_one(error)),
    })
}

#[cfg(feature = "http")]
fn classify_reqwest(error: &reqwest::Error) -> Option<&'static str> {
    if error.is_timeout() {
        Some("timeout")
    } else if error.is_redirect() {
        Some("redirect")
    } else if error.is_builder() {
        Some("invalid_request")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_with_a_class_gives_the_class() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(classify(&reset()), "connection_reset");
        let boxed: BoxError = Box::new(io::Error::other(reset()));
        assert_eq!(classify(&boxed), "connection_reset");
        assert_eq!(classify(&BoxError::from("only a message")), "error");
        assert_eq!(classify(&"no error"), "error");
        #[cfg(feature = "http")]
        assert_eq!(
            classify(&axum::Error::new(io::Error::from(io::ErrorKind::TimedOut))),
            "timeout"
        );
    }
}
