//! Errors as `main` shows them.
//!
//! What `fn main() -> Result<(), Box<dyn Error>>` returns is printed by its `Debug`, and so is what `unwrap` meets. For
//! the errors that a service meets when it starts, that is the sentence with its causes: it names the key, the value and
//! what would be right, where the derived one shows how the error is built.

use std::error::Error;

/// An error and its causes, but none whose text stands there already.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        next = cause.source();
    }
    said
}

/// The `Debug` of errors is their sentence.
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
    fn what_main_prints_says_what_to_do() {
        let config = Config::default().with_prefix("9lives_");
        let error = config.validate().unwrap_err();
        assert_eq!(format!("{error:?}"), error.to_string());
        let taken = StartError::Listen {
            address: "127.0.0.1:9090".parse().unwrap(),
            source: std::io::ErrorKind::AddrInUse.into(),
        };
        let error = InstallError::Build(taken.into());
        let said = format!("{error:?}");
        assert!(said.contains("OBSERVATORY_LISTEN="), "{said}");
        assert_eq!(said.matches("address in use").count(), 1, "{said}");
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
