//! Decides which text may leave the process: withholds the content of prompts and completions, masks credentials, and
//! hides secrets.

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
    secret::{SECRET_STRUCT, with_exposed_secrets},
};
pub use self::{options::RedactionConfig, secret::Secret};
