//! Formats errors as one sentence: the message of the error, followed by the messages of its causes.
//!
//! `fn main() -> Result<(), Box<dyn Error>>` and `unwrap` print the `Debug` form of an error. For the errors of
//! start-up this form is the sentence, which names the key, the value and the valid values. The derived form would show
//! the structure of the error instead.

use std::error::Error;

/// Formats an error and its causes; skips a cause whose text is already part of the sentence.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        next = cause.source();
    }
    sentence
}

/// Implements `Debug` for an error type with [`sentence`].
macro_rules! debug_is_a_sentence {
    ($($error:ty),+ $(,)?) => {$(
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::runtime::error_text::sentence(self))
            }
        }
    )+};
}

pub(crate) use debug_is_a_sentence;

#[cfg(test)]
mod tests {
    use crate::{Config, ConfigError, InstallError, StartError};

    #[test]
    fn the_debug_form_of_an_error_names_the_remedy() {
        let config = Config::default().with_prefix("9lives_");
        let error = config.validate().unwrap_err();
        assert_eq!(format!("{error:?}"), error.to_string());
        let taken = StartError::Listen {
            address: "127.0.0.1:9090".parse().unwrap(),
            source: std::io::ErrorKind::AddrInUse.into(),
        };
        let error = InstallError::Build(taken.into());
        let sentence = format!("{error:?}");
        assert!(sentence.contains("OBSERVATORY_LISTEN="), "{sentence}");
        assert_eq!(sentence.matches("address in use").count(), 1, "{sentence}");
        let error = ConfigError::Buckets {
            metrics: "tokens".to_owned(),
            problem: crate::BucketsError::Empty.to_string(),
        };
        assert!(
            format!("{error:?}").ends_with("at least one bucket"),
            "{error:?}"
        );
    }
}
