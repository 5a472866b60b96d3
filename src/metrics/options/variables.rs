//! The environment variables of metrics.

use super::{PrometheusConfig, QueryConfig};
use crate::{
    metrics::Side,
    settings::{Invalid, Variable, boolean, count, duration, set, text, variable},
};

impl PrometheusConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("PROMETHEUS_ENABLED" => enabled, boolean),
        variable!("METRICS_ENDPOINT" => endpoint, text),
        Variable::new("OBSERVATORY_LISTEN", |prometheus, value| {
            set(
                &mut prometheus.listen,
                value
                    .parse()
                    .map_err(|_| "an address with a port, for example `127.0.0.1:9091`"),
            )
        }),
        variable!("OBSERVATORY_PREFIX" => prefix, text),
        Variable::new("OBSERVATORY_SERIES_LIMIT", |prometheus, value| {
            set(
                &mut prometheus.series_limit,
                value.parse().map_err(|_| "a whole number above 0"),
            )
        }),
        Variable::new("OBSERVATORY_IDLE_TIMEOUT", |prometheus, value| {
            set(&mut prometheus.idle_timeout, duration(value).map(Some))
        }),
        variable!("OBSERVATORY_HANDLE_LIFETIME" => handle_lifetime, duration),
        Variable::new("OBSERVATORY_GEN_AI", |prometheus, value| {
            let side = match value {
                "client" => Ok(Some(Side::Client)),
                "server" => Ok(Some(Side::Server)),
                "off" => Ok(None),
                _ => Err("`client`, `server` or `off`"),
            };
            set(&mut prometheus.gen_ai, side)
        }),
    ];
}

impl QueryConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("OBSERVATORY_MAX_QUERY_BYTES" => max_query_bytes, count),
        variable!("OBSERVATORY_RETENTION" => retention.time, duration),
        variable!("OBSERVATORY_RETENTION_BYTES" => retention.bytes, bytes),
        variable!("OBSERVATORY_QUERY_MAX_MEMORY" => max_memory, bytes),
    ];
}

fn bytes(text: &str) -> Result<usize, Invalid> {
    let bytes = text.parse();
    bytes.map_err(|_| "a whole number of bytes, for example `67108864`")
}
