//! The query language against programs that know it: a real Prometheus, its test format, and random bytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod any_bytes;
mod dataset;
mod differential;
mod expressions;
mod generator;
mod prometheus;
