//! Measures the cost of recording one inference for the application.

pub(crate) mod instructions;
pub(crate) mod time;
pub(crate) mod variants;
pub(crate) mod worker;
mod workload;
