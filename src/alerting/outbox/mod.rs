//! Persists notifications, alert state and history, so that they survive a crash.
//!
//! The complete state is also in memory; the store reads its file only when it opens the file. A full disk therefore
//! costs durability, not alerts: the store counts the failure, reports itself as degraded, and later writes the
//! complete state again. A file that is deleted or replaced while it is open is such a failure, too: writes to the open
//! file would succeed, and the next process would not find them.

mod file_identity;
mod open;
mod store;
#[cfg(test)]
mod tests;

pub use self::open::StoreError;
pub(crate) use self::store::{Store, Write};
