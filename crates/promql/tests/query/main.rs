//! Tests of the query engine against a real Prometheus, its test scripts, and random bytes.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "a test that cannot go on says so by panicking, its numbers are small, and its tables are long"
)]

mod any_bytes;
mod dataset;
mod differential;
mod expressions;
mod generator;
mod prometheus;
mod random;
mod script;
