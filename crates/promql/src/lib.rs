//! Turns the registry's series into answers to `PromQL` questions, inside the process.
//!
//! Alerts, health checks and dashboards all ask in one language, the one their users know already, so that
//! a rule written for the observatory runs on Prometheus unchanged. [`store`] keeps the samples in bounded
//! memory, [`engine`] evaluates expressions over them with the semantics of Prometheus 3.
//!
//! Nothing here reads a clock, spawns or does I/O: whoever calls brings the time and the deadline.

pub mod engine;
mod labels;
mod matcher;
mod pattern;
pub mod store;

pub use labels::{Label, Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use pattern::{Pattern, PatternError};
