//! Options of the metrics and of the server that exposes them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::metrics::{BucketsFor, HANDLE_LIFETIME, RegistryOptions, Side, SinkOptions};

/// Options of the metrics and of the server that exposes them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PrometheusConfig {
    /// True if the server runs. Default: true if the feature `server` is compiled in.
    pub enabled: bool,
    /// Address of the server; port 0 selects a free port. Default: `127.0.0.1:9090`.
    pub listen: SocketAddr,
    /// Path of the metrics. Default: `/metrics`.
    pub endpoint: String,
    /// Prefix of the prefixed metrics of the catalog. Default: `llm_router_`.
    pub prefix: String,
    /// Labels that every series gets. Default: no labels.
    pub labels: BTreeMap<String, String>,
    /// Max series of a metric; further series fold into an overflow series. Default: 2,000.
    pub series_limit: usize,
    /// Time without a change after which a series is hidden until its next change. Default: never.
    pub idle_timeout: Option<Duration>,
    /// Time after which an unused series is registered anew in the application's own recorder (`builder.facade()`); must be
    /// below the idle timeout of that recorder. Default: 5 s.
    pub handle_lifetime: Duration,
    /// Buckets of histograms, by full name, prefix or suffix; the first match applies. Default: the buckets of the catalog.
    #[serde(with = "buckets")]
    #[cfg_attr(feature = "json-schema", schemars(with = "Vec<buckets::Row>"))]
    pub buckets: Vec<(BucketsFor, Vec<f64>)>,
    /// Side of the `GenAI` conventions' metrics; `None` turns these metrics off. Default: client.
    #[serde(with = "gen_ai")]
    #[cfg_attr(feature = "json-schema", schemars(with = "gen_ai::GenAi"))]
    pub gen_ai: Option<Side>,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        let registry = RegistryOptions::default();
        Self {
            enabled: cfg!(feature = "server"),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090),
            endpoint: "/metrics".to_owned(),
            prefix: registry.prefix,
            labels: registry.labels,
            series_limit: registry.series_limit,
            idle_timeout: registry.idle_timeout,
            handle_lifetime: HANDLE_LIFETIME,
            buckets: registry.buckets,
            gen_ai: SinkOptions::default().gen_ai,
        }
    }
}

/// The name of a side, or `off`.
mod gen_ai {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Side;

    #[derive(Serialize, Deserialize)]
    #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    pub(super) enum GenAi {
        Client,
        Server,
        Off,
    }

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's signature"
    )]
    pub(super) fn serialize<S: Serializer>(
        side: &Option<Side>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match side {
            Some(Side::Client) => GenAi::Client.serialize(serializer),
            Some(Side::Server) => GenAi::Server.serialize(serializer),
            None => GenAi::Off.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Side>, D::Error> {
        Ok(match GenAi::deserialize(deserializer)? {
            GenAi::Client => Some(Side::Client),
            GenAi::Server => Some(Side::Server),
            GenAi::Off => None,
        })
    }
}

/// Buckets as a list of `{suffix: _seconds, upper: [0.1, 1]}`, with `name`, `prefix` or `suffix`.
mod buckets {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::BucketsFor;

    #[derive(Default, Serialize, Deserialize)]
    #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
    #[serde(default, deny_unknown_fields)]
    pub(super) struct Row {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        suffix: Option<String>,
        upper: Vec<f64>,
    }

    pub(super) fn serialize<S: Serializer>(
        buckets: &[(BucketsFor, Vec<f64>)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(buckets.iter().map(|(which, upper)| {
            let mut row = Row {
                upper: upper.clone(),
                ..Row::default()
            };
            match which.clone() {
                BucketsFor::Name(name) => row.name = Some(name),
                BucketsFor::Prefix(prefix) => row.prefix = Some(prefix),
                BucketsFor::Suffix(suffix) => row.suffix = Some(suffix),
            }
            row
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(BucketsFor, Vec<f64>)>, D::Error> {
        let rows = Vec::<Row>::deserialize(deserializer)?;
        let bucket = |row: Row| match (row.name, row.prefix, row.suffix) {
            (Some(name), None, None) => Ok((BucketsFor::Name(name), row.upper)),
            (None, Some(prefix), None) => Ok((BucketsFor::Prefix(prefix), row.upper)),
            (None, None, Some(suffix)) => Ok((BucketsFor::Suffix(suffix), row.upper)),
            _ => Err(D::Error::custom(
                "needs one of `name`, `prefix` and `suffix`, for example `{suffix: _seconds, upper: [0.1, 1]}`",
            )),
        };
        rows.into_iter().map(bucket).collect()
    }
}
