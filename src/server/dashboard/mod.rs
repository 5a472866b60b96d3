//! Serves the dashboard: a page that reads the API as any other client does.
//!
//! The page displays untrusted text: names and attributes of spans, labels, messages of alerts. The content security
//! policy therefore allows only scripts and styles from this server, forbids inline scripts and styles, and forbids the
//! conversion of strings to markup.
//!
//! All addresses are relative, so that the page works below any prefix that an application nests it under, and behind a
//! proxy that strips a prefix. The views are fragments of one address (`#/models`), so that the server needs one route.

mod about;
mod assets;
#[cfg(feature = "alerting")]
mod panels;

use axum::{
    Router,
    extract::{NestedPath, Path, State, rejection::NestedPathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use self::assets::Asset;
use super::endpoints::{ServerState, escape};

/// The content security policy: no inline script or style, no foreign resource, no frame, no string as markup.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

pub(super) fn router() -> Router<ServerState> {
    let router = Router::new()
        .route("/", get(page))
        .route("/dashboard/traces", get(traces))
        .route("/dashboard/assets/{version}/{name}", get(asset))
        .route("/api/observatory/dashboard", get(about::about));
    #[cfg(feature = "alerting")]
    let router = router.route("/api/observatory/export/grafana/{view}", get(grafana));
    router
}

/// Serves the page. Its links repeat the last segment of the path that the routes are nested under, since the address of
/// a nested page has no `/` at its end.
async fn page(
    State(state): State<ServerState>,
    nested: Result<NestedPath, NestedPathRejection>,
    headers: HeaderMap,
) -> Response {
    let own = last_part(nested).map_or_else(String::new, |part| escape(&part) + "/");
    let options = &state.sources.options;
    let text = include_str!("../../../assets/dashboard/index.html")
        .replace(
            "{assets}",
            &format!("./{own}dashboard/assets/{}", assets::version()),
        )
        .replace("{own}", &format!("./{own}"))
        .replace("{service}", &escape(&state.sources.service))
        .replace(
            "{metrics}",
            &escape(options.metrics_path.trim_start_matches('/')),
        )
        .replace(
            "{health}",
            &escape(options.health_path.trim_start_matches('/')),
        );
    assets::respond(&Asset::page(text), &headers, "no-cache")
}

/// Leads the address of the former page of traces to the view of traces. The browser keeps the fragment, which names the
/// trace.
async fn traces(nested: Result<NestedPath, NestedPathRejection>) -> Response {
    let up = last_part(nested).map_or_else(|| "../".to_owned(), |part| format!("../../{part}"));
    let target = format!("{up}?view=traces");
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target)]).into_response()
}

/// Serves an asset. The path has the version of all assets, so that a browser need not ask again; under another version,
/// which a page has that was opened before an update, the asset is revalidated.
async fn asset(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = assets::find(&name) else {
        return (StatusCode::NOT_FOUND, "there is no such asset\n").into_response();
    };
    let is_current = version == assets::version();
    let caching = if is_current {
        assets::IMMUTABLE
    } else {
        "no-cache"
    };
    assets::respond(asset, &headers, caching)
}

/// Exports the panels of a view as a dashboard for Grafana.
#[cfg(feature = "alerting")]
async fn grafana(State(state): State<ServerState>, Path(name): Path<String>) -> Response {
    let Some(view) = panels::View::ALL
        .into_iter()
        .find(|view| view.name() == name)
    else {
        let names = panels::View::ALL.map(panels::View::name).join(", ");
        let text = format!("there is no dashboard {name:?}; there are: {names}\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let sources = &state.sources;
    let prefix = sources.gatherer.registry.prefix();
    let dashboard = panels::grafana_dashboard(view, prefix, &sources.service);
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{dashboard:#}\n")).into_response()
}

/// Returns the last segment of the path that the routes are nested under.
fn last_part(nested: Result<NestedPath, NestedPathRejection>) -> Option<String> {
    let nested = nested.ok()?;
    let path = nested.as_str().trim_end_matches('/');
    path.rsplit('/').next().map(str::to_owned)
}
