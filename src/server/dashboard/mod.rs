//! Serves `/dashboard`: static pages that read the API as any other client does. The only page so far shows live
//! traces.
//!
//! The pages display untrusted text: names and attributes of spans. The content security policy therefore allows only
//! scripts and styles from this server, forbids inline scripts and styles, and forbids the conversion of strings to
//! markup.
//!
//! All addresses are relative, so that the pages work below any prefix that an application nests them under.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    Router,
    extract::{NestedPath, Path, State, rejection::NestedPathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::endpoints::{ServerState, escape, last_part};

/// The assets of the pages: name, content type, text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("dashboard.css", CSS, include_str!("dashboard.css")),
    ("details.css", CSS, include_str!("details.css")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("details.js", SCRIPT, include_str!("details.js")),
    ("elements.js", SCRIPT, include_str!("elements.js")),
    ("format.js", SCRIPT, include_str!("format.js")),
    ("lists.js", SCRIPT, include_str!("lists.js")),
    ("server.js", SCRIPT, include_str!("server.js")),
    ("trace.js", SCRIPT, include_str!("trace.js")),
    ("traces.js", SCRIPT, include_str!("traces.js")),
    ("tree.js", SCRIPT, include_str!("tree.js")),
    ("waterfall.js", SCRIPT, include_str!("waterfall.js")),
];
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PAGE: &str = "text/html; charset=utf-8";

/// The content security policy: no inline script or style, no foreign resource, no frame, no string as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// The path of the page of live traces.
pub(super) const TRACES: &str = "/dashboard/traces";

pub(super) fn router() -> Router<ServerState> {
    Router::new()
        .route(TRACES, get(traces))
        .route("/dashboard/assets/{name}", get(asset))
}

/// Serves the page of live traces.
async fn traces(
    State(state): State<ServerState>,
    nested: Result<NestedPath, NestedPathRejection>,
    headers: HeaderMap,
) -> Response {
    let service = escape(&state.sources.service);
    let index = last_part(nested).map_or_else(|| "../".to_owned(), |part| format!("../../{part}"));
    let page = include_str!("traces.html")
        .replace("{index}", &escape(&index))
        .replace("{service}", &service);
    document(PAGE, &page, &headers)
}

async fn asset(Path(wanted): Path<String>, headers: HeaderMap) -> Response {
    let found = ASSETS.iter().find(|(name, ..)| *name == wanted);
    match found {
        Some((_, kind, text)) => document(kind, text, &headers),
        None => (StatusCode::NOT_FOUND, "there is no such asset\n").into_response(),
    }
}

/// Returns an asset with an entity tag and `no-cache`: the browser keeps the asset but revalidates it on every use,
/// since its name stays the same when the next version of the crate changes its text.
fn document(kind: &'static str, text: &str, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| {
        let known = known.to_str().unwrap_or_default();
        known.split(',').any(|known| known.trim() == tag)
    });
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let tag = [(header::ETAG, tag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers, tag).into_response();
    }
    (headers, tag, text.to_owned()).into_response()
}
