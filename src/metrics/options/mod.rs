//! Options of metrics: how they are kept, exposed and queried.

mod prometheus;
mod query;
mod validate;
mod variables;

pub use self::{
    prometheus::PrometheusConfig,
    query::{QueryConfig, RetentionConfig},
};
