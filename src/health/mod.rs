//! Runs health checks in the background, and answers health questions from their last results.

mod options;

pub use self::options::HealthConfig;
