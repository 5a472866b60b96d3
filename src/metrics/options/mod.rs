//! Options of metrics: retention, exposition and queries.

mod prometheus;
mod query;
mod validate;
mod variables;

pub use self::{
    prometheus::PrometheusConfig,
    query::{QueryConfig, RetentionConfig},
};
