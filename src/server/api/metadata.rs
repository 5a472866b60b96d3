//! Answers `metadata` and `status/buildinfo`: the types of metrics, and the version of the server.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use serde_json::json;

use super::{answer::Encoded, params::Params};
use crate::server::endpoints::ServerState;

/// The version of Prometheus whose language and API this server implements. Clients derive the supported functions from
/// it.
const PROMETHEUS_VERSION: &str = "3.5.0";

#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: &'static str,
    help: String,
    unit: &'static str,
}

/// Lists type, help and unit of every metric, or of the requested metric.
pub(in crate::server) async fn metadata(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let sources = context.sources;
        let limit = params.limit()?;
        let wanted = params.get("metric");
        let all = sources.gatherer.registry.families();
        let found: BTreeMap<String, [Metadata; 1]> = all
            .iter()
            .filter(|family| family.len() > 0)
            .filter(|family| wanted.is_none_or(|wanted| *wanted == *family.name))
            .take(limit)
            .map(|family| {
                let about = family.about();
                let metadata = Metadata {
                    kind: family.kind().as_str(),
                    help: about.help.as_deref().unwrap_or_default().to_owned(),
                    unit: about.unit.unwrap_or_default(),
                };
                (family.name.to_string(), [metadata])
            })
            .collect();
        Ok(Encoded::success(found))
    })
    .await
}

/// Returns the implemented version of Prometheus, and the version of llm-observatory.
pub(in crate::server) async fn build_info(State(_): State<ServerState>) -> Response {
    let ours = concat!("llm-observatory ", env!("CARGO_PKG_VERSION"));
    Encoded::success(json!({
        "version": PROMETHEUS_VERSION,
        "revision": ours,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
    .into_response()
}
