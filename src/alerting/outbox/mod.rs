//! Writes down what must survive a crash: notifications before they are sent, and what everybody knows.
//!
//! Everything lives in memory as well; the file is only read when it is opened. So a disk that is full costs
//! durability, not alerts: the store then says so, counts it, and tries to write everything anew.

mod open;
pub(crate) mod saved;
mod store;
#[cfg(test)]
mod tests;

pub use self::open::StoreError;
pub(crate) use self::store::{Store, Write};
