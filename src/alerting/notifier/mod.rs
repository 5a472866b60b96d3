//! Messages.
mod message;
pub(crate) use self::message::hex;
pub use self::message::{Message, MessageAlert, Reason, Status};
