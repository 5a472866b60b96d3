//! Compares rules and notifications with promtool, Prometheus and Alertmanager.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "tests fail by panicking, numbers are small, and tables are long"
)]

mod accepted;
mod notify_alertmanager;
mod notify_cluster;
mod notify_crash;
mod notify_export;
mod notify_misbehave;
mod notify_storm;
mod notify_support;
mod notify_templates;
mod notify_tls;
#[allow(
    dead_code,
    reason = "a link to a file of the tests of promql-engine, which use more of it"
)]
mod prometheus;
mod rules_files;
mod rules_prometheus;
mod rules_promtool;
mod rules_scale;
mod rules_templates;
