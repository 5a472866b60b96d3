//! Errors of the registration of checks and groups.

use std::io;

use crate::{runtime::error_text::debug_is_a_sentence, settings::ConfigError};

debug_is_a_sentence!(HealthError);

/// A check or a group that cannot be registered or removed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// A check or a group has this name already.
    #[error("{name:?} is registered already: remove it first, or choose another name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// No check or group has this name.
    #[error("there is no check or group {name:?}; the names are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The registered names.
        known: String,
    },
    /// A group has no members.
    #[error("the group {group:?} has no members, but must have at least one check")]
    EmptyGroup {
        /// The name of the group.
        group: String,
    },
    /// A group names a check that is not registered.
    #[error(
        "the group {group:?} names {member:?}, which is not registered: register the check first; the names are {known}"
    )]
    UnknownMember {
        /// The name of the group.
        group: String,
        /// The name of the absent check.
        member: String,
        /// The registered names.
        known: String,
    },
    /// A check belongs to a group.
    #[error("{name:?} is a member of the group {group:?}: remove the group first")]
    InGroup {
        /// The name of the check.
        name: String,
        /// The name of the group.
        group: String,
    },
    /// An option is invalid.
    #[error(transparent)]
    Option(#[from] ConfigError),
    /// The checks have as many threads as they may have.
    #[error(
        "{name:?} needs a thread of its own, and {max} checks have one already: make checks async, or combine some of them"
    )]
    TooManyThreads {
        /// The name of the check.
        name: String,
        /// The maximum number of threads.
        max: usize,
    },
    /// The system refuses a thread.
    #[error("cannot start the thread of the check {name:?}")]
    Thread {
        /// The name of the check.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
}
