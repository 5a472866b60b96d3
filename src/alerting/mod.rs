//! Turns answers to `PromQL` questions into messages that page once, escalate, resolve, and survive a crash.
//!
//! The first half is what Prometheus does: rules are evaluated over the series store, and whatever fires or has
//! resolved is handed on as an [`Alert`]. The second half is what Alertmanager does: alerts are silenced,
//! inhibited, routed, grouped, and sent. Both halves are pure and take the time as an argument; the observatory's
//! own thread ticks them, and does what they decide.

mod alert;
mod severity;

pub use self::{
    alert::Alert,
    severity::{Severity, UnknownSeverity},
};
