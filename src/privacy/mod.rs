//! Decides which text may leave the process: secrets, content of prompts and answers, masks for credentials.

mod cards;
mod content_names;
mod credential;
mod glob;
mod masks;
mod options;
mod redaction;
mod secret;

#[cfg(feature = "otlp")]
pub(crate) use self::glob::Glob;
#[cfg(all(test, feature = "otlp"))]
pub(crate) use self::redaction::denying;
pub(crate) use self::{
    content_names::is_content,
    masks::MASK,
    redaction::{Redaction, WITHHELD},
};
pub use self::{options::RedactionConfig, secret::Secret};
