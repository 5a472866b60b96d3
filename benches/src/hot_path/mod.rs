//! What it costs an application to have one inference measured.

pub(crate) mod instructions;
pub(crate) mod time;
pub(crate) mod variants;
pub(crate) mod worker;
mod workload;
