//! Keeps values that must not leave the process out of logs, metrics, spans and messages.

mod secret;

pub use self::secret::Secret;
