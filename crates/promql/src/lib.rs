//! A `PromQL` engine for samples in memory, with the semantics of Prometheus 3.
//!
//! [`store`] keeps samples in bounded memory, and [`engine`] evaluates queries over them. A rule or a dashboard that is
//! written for this engine runs on Prometheus unchanged, and the other way round.
//!
//! The crate reads no clock, starts no thread and does no I/O: callers pass times and deadlines.
//!
//! # Example
//!
//! ```
//! use promql_engine::{Labels, engine::{Engine, Value}, store::SeriesStore};
//!
//! let store = SeriesStore::default();
//! let labels = Labels::from_pairs([("__name__", "requests_total"), ("job", "router")]);
//! for minute in 0..10 {
//!     store.append(&labels, minute * 60_000, minute as f64 * 120.0);
//! }
//! let result = Engine::default().evaluate(&store, "rate(requests_total[5m])", 540_000)?;
//! let Value::Vector(samples) = result.value else { unreachable!() };
//! assert_eq!(samples[0].point.value, 2.0);
//! # Ok::<(), promql_engine::engine::QueryError>(())
//! ```
//!
//! # Coverage
//!
//! The engine implements the stable language of Prometheus 3 on float samples, with `anchored` and `smoothed` of
//! Prometheus 3.16. Native histograms and experimental features are not implemented: a query that uses them fails when
//! it is parsed, with an error that names the feature.
//!
//! # Functions with `anchored` and `smoothed`
//!
//! | Modifier | Functions | Value at a boundary of the range |
//! |---|---|---|
//! | `x[5m] anchored` | `changes`, `delta`, `increase`, `rate`, `resets` | the last sample before the boundary |
//! | `x[5m] smoothed` | `delta`, `increase`, `rate` | interpolated between the samples around the boundary |
//! | `x smoothed` | none: an instant selector | interpolated between the samples around the time |
//!
//! The modifiers read samples up to [`EngineOptions::lookback`](engine::EngineOptions::lookback) before the start of the
//! range; `smoothed` also reads samples up to the lookback after its end.
//!
//! # Why not `promql-parser`
//!
//! The errors of `promql-parser` 0.11 carry no position, and it rejects `\Q…\E` in regular expressions, which RE2
//! accepts. Rules of Prometheus must load unchanged, and their authors need line and column of an error.

pub mod engine;
mod labels;
mod matcher;
mod pattern;
pub mod store;

pub use labels::{Label, Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use pattern::{Pattern, PatternError};

/// The Rust block of the README is a doc-test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
