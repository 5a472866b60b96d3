//! Outbox.
pub(crate) mod saved;
