//! Copies the registry into a series store, and answers `PromQL` queries about it.

mod queries;

pub(crate) use self::queries::Queries;
