//! Alerting against the programs that know it: Alertmanager, amtool, peers that misbehave, and `kill -9`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "a test that cannot go on says so by panicking, and its tables are long"
)]

mod notify_alertmanager;
mod notify_cluster;
mod notify_crash;
mod notify_export;
mod notify_misbehave;
mod notify_storm;
mod notify_support;
mod notify_tls;
