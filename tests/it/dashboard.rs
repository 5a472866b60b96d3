//! Tests the pages of the dashboard as the server sends them. `tests/browser` tests them in a browser.
#![cfg(feature = "server")]

use std::collections::BTreeSet;

use llm_observatory::{Config, Observatory};
use reqwest::Url;
use tracing_subscriber::Registry;

use super::server::get;

const PAGE: &str = "/dashboard/traces";

fn serving(name: &str) -> Observatory {
    let mut config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
    name.clone_into(&mut config.service.name);
    let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    observatory
}

/// Returns the quoted addresses after any of `before`, resolved against `base`.
fn references(text: &str, before: &[&str], base: &Url) -> Vec<Url> {
    let found = before.iter().flat_map(|before| text.split(before).skip(1));
    let quoted = found.map(|rest| rest.split('"').next().unwrap());
    quoted.map(|path| base.join(path).unwrap()).collect()
}

/// Fetches a page and, recursively, everything that it refers to; calls `ask` with each path.
fn follow(page: &str, mut ask: impl FnMut(&str) -> String) -> BTreeSet<String> {
    let mut waiting = vec![
        Url::parse("http://observatory.example")
            .unwrap()
            .join(page)
            .unwrap(),
    ];
    let mut seen = BTreeSet::new();
    while let Some(url) = waiting.pop() {
        if !seen.insert(url.path().to_owned()) {
            continue;
        }
        let question = url
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        let text = ask(&format!("{}{question}", url.path()));
        let is_page = url.path() == page;
        let before: &[&str] = if is_page {
            &["href=\"", "src=\""]
        } else {
            &[" from \""]
        };
        waiting.extend(references(&text, before, &url));
    }
    seen
}

#[test]
fn a_page_and_its_assets_are_served_under_a_strict_policy() {
    let observatory = serving("a <b>&\"service\"");
    let address = observatory.listen_address().unwrap();
    let seen = follow(PAGE, |path| {
        let (head, body) = get(address, path, "");
        assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
        let text = String::from_utf8(body).unwrap();
        let of_dashboard = path.starts_with("/dashboard");
        let kind = match path.rsplit_once('.').map(|(_, kind)| kind) {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            None if of_dashboard || path == "/" => "text/html",
            _ => "application/json",
        };
        assert!(
            head.contains(&format!("content-type: {kind}")),
            "{path}: {head}"
        );
        if !of_dashboard {
            return String::new();
        }
        for expected in [
            "default-src 'none'; script-src 'self'; style-src 'self'",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-cache",
        ] {
            assert!(head.contains(expected), "{path}: {head}");
        }
        let tag = head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let (head, body) = get(address, path, &format!("if-none-match: \"0\", {tag}\r\n"));
        assert!(
            head.starts_with("http/1.0 304") && body.is_empty(),
            "{path}: {head}"
        );
        let (head, _) = get(address, path, "if-none-match: \"0\"\r\n");
        assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
        for forbidden in [
            "innerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "<style",
            " style=",
            "onclick=",
            "https://",
            "//cdn",
        ] {
            assert!(!text.contains(forbidden), "{path}: {forbidden}");
        }
        text
    });
    assert!(
        seen.contains("/dashboard/assets/waterfall.js") && seen.contains("/"),
        "{seen:?}"
    );
    assert!(seen.contains("/api/observatory/traces"), "{seen:?}");
    let (_, body) = get(address, PAGE, "");
    let page = String::from_utf8(body).unwrap();
    assert!(page.contains("a &lt;b&gt;&amp;&quot;service&quot;") && !page.contains("<b>"));
    let (head, _) = get(address, "/dashboard/assets/mod.rs", "");
    assert!(head.starts_with("http/1.0 404"), "{head}");
}

#[test]
fn the_index_links_to_the_page() {
    let observatory = serving("service");
    let (_, body) = get(observatory.listen_address().unwrap(), "/", "");
    let index = String::from_utf8(body).unwrap();
    assert!(
        index.contains("<a href=\"./dashboard/traces\">/dashboard/traces</a>"),
        "{index}"
    );
}

#[cfg(feature = "http")]
#[test]
fn the_dashboard_works_below_any_prefix_of_a_router() {
    use axum::{Router, body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    let observatory = serving("service");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for prefix in ["/observatory", "/ops/observatory"] {
        let app = Router::new().nest(prefix, observatory.router());
        let ask = |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = runtime.block_on(app.clone().oneshot(request)).unwrap();
            assert_eq!(response.status(), 200, "{path}");
            let body = runtime.block_on(response.into_body().collect()).unwrap();
            String::from_utf8(body.to_bytes().to_vec()).unwrap()
        };
        let seen = follow(&format!("{prefix}{PAGE}"), ask);
        for expected in [
            prefix.to_owned(),
            format!("{prefix}/dashboard/assets/tree.js"),
        ] {
            assert!(seen.contains(&expected), "{seen:?}");
        }
        let seen = follow(prefix, ask);
        for expected in [
            PAGE,
            "/metrics",
            "/health",
            "/status",
            "/api/observatory/traces",
        ] {
            assert!(seen.contains(&format!("{prefix}{expected}")), "{seen:?}");
        }
    }
}
