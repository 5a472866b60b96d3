//! Tests the pages of the dashboard as the server sends them. `tests/browser` tests them in a browser.
#![cfg(feature = "server")]

use std::{collections::BTreeSet, io::Read as _, path::Path};

use llm_observatory::{Config, Observatory};
use reqwest::Url;
use tracing_subscriber::Registry;

use super::server::get;

const PAGE: &str = "/";

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
    let is_file = |path: &&str| !path.starts_with('#') && !path.contains("${");
    quoted
        .filter(is_file)
        .map(|path| base.join(path).unwrap())
        .collect()
}

/// Fetches the page and, recursively, every file that it refers to; calls `ask` with each path.
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
        let text = ask(url.path());
        let before: &[&str] = match url.path() {
            path if path == page => &["href=\"", "src=\""],
            path if is_script(path) && !is_vendor(path) => &[" from \"", "import(\""],
            _ => &[],
        };
        waiting.extend(references(&text, before, &url));
    }
    seen
}

fn is_script(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "js")
}

fn is_vendor(path: &str) -> bool {
    ["editor.js", "flamegraph.js", "preact.js", "uplot.js"]
        .iter()
        .any(|name| path.ends_with(&format!("/{name}")))
}

#[test]
fn the_page_and_its_assets_are_served_under_a_strict_policy() {
    let observatory = serving("a <b>&\"service\"");
    let address = observatory.listen_address().unwrap();
    let seen = follow(PAGE, |path| {
        let (head, body) = get(address, path, "");
        assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
        let text = String::from_utf8(body).unwrap();
        let is_asset = path.starts_with("/dashboard/assets/");
        if !is_asset && path != PAGE {
            return String::new();
        }
        let kind = match path.rsplit_once('.').map(|(_, kind)| kind) {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            _ => "text/html",
        };
        let caching = if is_asset { "immutable" } else { "no-cache" };
        for expected in [
            &format!("content-type: {kind}"),
            caching,
            "default-src 'none'; script-src 'self'; style-src 'self'",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(expected), "{path}: {expected} in {head}");
        }
        let tag = head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let (head, body) = get(address, path, &format!("if-none-match: \"0\", W/{tag}\r\n"));
        assert!(
            head.starts_with("http/1.0 304") && body.is_empty(),
            "{path}: {head}"
        );
        let (head, body) = get(address, path, "accept-encoding: gzip\r\n");
        if head.contains("content-encoding: gzip") {
            let mut plain = String::new();
            flate2::read::GzDecoder::new(&*body)
                .read_to_string(&mut plain)
                .unwrap();
            assert_eq!(plain, text, "{path}");
        }
        text
    });
    let names = seen
        .iter()
        .filter_map(|path| path.strip_prefix("/dashboard/assets/"));
    let names: BTreeSet<_> = names
        .map(|path| path.split_once('/').unwrap().1.to_owned())
        .collect();
    for expected in ["waterfall.js", "editor.js", "flamegraph.js", "silence.js"] {
        assert!(names.contains(expected), "{names:?}");
    }
    assert!(
        seen.contains("/metrics") && seen.contains("/health") && seen.contains("/status"),
        "{seen:?}"
    );
    let (_, body) = get(address, PAGE, "");
    let page = String::from_utf8(body).unwrap();
    assert!(page.contains("a &lt;b&gt;&amp;&quot;service&quot;") && !page.contains("<b>"));
    assert!(
        !page.contains("<style") && !page.contains(" style=") && !page.contains("<script>"),
        "{page}"
    );
}

#[test]
fn an_asset_of_another_version_is_revalidated() {
    let observatory = serving("service");
    let address = observatory.listen_address().unwrap();
    let (head, _) = get(address, "/dashboard/assets/0123456789abcdef/app.js", "");
    assert!(
        head.starts_with("http/1.0 200") && head.contains("cache-control: no-cache"),
        "{head}"
    );
    let (head, _) = get(address, "/dashboard/assets/0/mod.rs", "");
    assert!(head.starts_with("http/1.0 404"), "{head}");
}

#[test]
fn the_former_page_of_traces_leads_to_the_view() {
    let observatory = serving("service");
    let (head, _) = get(
        observatory.listen_address().unwrap(),
        "/dashboard/traces",
        "",
    );
    assert!(
        head.starts_with("http/1.0 307") && head.contains("location: ../?view=traces"),
        "{head}"
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
        let seen = follow(prefix, ask);
        for expected in ["/metrics", "/health", "/status"] {
            assert!(seen.contains(&format!("{prefix}{expected}")), "{seen:?}");
        }
        let is_tree = |path: &String| {
            path.starts_with(&format!("{prefix}/dashboard/assets/")) && path.ends_with("/tree.js")
        };
        assert!(seen.iter().any(is_tree), "{seen:?}");
    }
}

#[cfg(feature = "alerting")]
mod queries {
    use serde_json::{Value, json};

    use super::*;

    fn post(address: std::net::SocketAddr, path: &str, body: &Value) -> (String, Value) {
        use std::io::Write as _;
        let body = body.to_string();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let parsed = serde_json::from_str(body).unwrap_or(Value::Null);
        (head.to_lowercase(), parsed)
    }

    #[test]
    fn a_batch_answers_every_query_and_reports_each_error() {
        let observatory = serving("service");
        let address = observatory.listen_address().unwrap();
        let (head, body) = post(
            address,
            "/api/observatory/panels",
            &json!({ "queries": [
                { "id": "now", "query": "vector(1)" },
                { "id": "course", "query": "vector(2)", "range": 60, "step": 10 },
                { "id": "wrong", "query": "sum(" },
            ] }),
        );
        assert!(head.starts_with("http/1.0 200"), "{head}");
        let data = &body["data"];
        assert_eq!(data["results"][0]["data"]["result"][0]["value"][1], "1");
        let course = &data["results"][1]["data"]["result"][0]["values"];
        assert_eq!(course.as_array().unwrap().len(), 7, "{body}");
        assert_eq!(data["results"][2]["status"], "error");
        assert_eq!(data["results"][2]["id"], "wrong");
        assert_eq!(data["alerts"]["firing"], 0);
        assert!(data["now"].as_i64().unwrap() > 1_600_000_000_000);
    }

    #[test]
    fn a_batch_has_limits() {
        let observatory = serving("service");
        let address = observatory.listen_address().unwrap();
        let many: Vec<_> = (0..101)
            .map(|at| json!({ "id": at.to_string(), "query": "1" }))
            .collect();
        for (queries, expected) in [
            (json!(many), "at most 100"),
            (
                json!([{ "id": "a", "query": "1", "range": 1e9, "step": 1 }]),
                "steps",
            ),
            (
                json!([{ "id": "a", "query": "1", "range": 60 }]),
                "only one of range and step",
            ),
            (
                json!([{ "id": "a", "query": "1", "start": 60 }]),
                "unknown field",
            ),
        ] {
            let (head, body) = post(
                address,
                "/api/observatory/panels",
                &json!({ "queries": queries }),
            );
            assert!(head.starts_with("http/1.0 400"), "{head}");
            assert!(
                body["error"].as_str().unwrap().contains(expected),
                "{expected}: {body}"
            );
        }
    }

    /// Every query of the page runs against the series of a service with traffic.
    #[test]
    fn every_panel_of_the_page_is_answered_without_an_error() {
        let observatory = serving("service");
        let address = observatory.listen_address().unwrap();
        let (_, body) = get(address, "/api/observatory/dashboard", "");
        let about: Value = serde_json::from_slice(&body).unwrap();
        let panels = about["panels"].as_array().unwrap();
        let prefix = about["prefix"].as_str().unwrap();
        let queries: Vec<_> = panels
            .iter()
            .flat_map(|panel| panel["queries"].as_array().unwrap())
            .enumerate()
            .map(|(at, query)| {
                let text = query["expr"].as_str().unwrap();
                let text = text
                    .replace("$P", prefix)
                    .replace("$W", "1m")
                    .replace("$O", "")
                    .replace("$S", "model_id=\"a\"");
                json!({ "id": at.to_string(), "query": text, "range": 300, "step": 10 })
            })
            .collect();
        assert!(queries.len() > 50, "{}", queries.len());
        let (_, body) = post(
            address,
            "/api/observatory/panels",
            &json!({ "queries": queries }),
        );
        for (result, query) in body["data"]["results"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&queries)
        {
            assert_eq!(result["status"], "success", "{query}: {result}");
        }
    }

    #[test]
    fn a_silence_is_previewed_before_it_is_set() {
        let observatory = serving("service");
        let address = observatory.listen_address().unwrap();
        for model in ["a", "b"] {
            observatory
                .alerts()
                .trigger(
                    "slow",
                    llm_observatory::alerting::Severity::Warning,
                    "it is slow",
                    &[("model_id", model)],
                )
                .unwrap();
        }
        let preview = |matchers: Value| {
            let body = json!({ "matchers": matchers });
            post(address, "/api/observatory/silences/preview", &body)
        };
        let (_, one) = preview(json!(["alertname=\"slow\"", "model_id=\"b\""]));
        assert_eq!(one["total"], 1, "{one}");
        assert_eq!(one["alerts"][0]["labels"]["model_id"], "b");
        assert_eq!(preview(json!(["alertname=\"slow\""])).1["total"], 2);
        assert!(
            preview(json!(["alertname=~\"(\""]))
                .0
                .starts_with("http/1.0 400")
        );
    }

    #[test]
    fn conditions_and_channels_and_grafana_are_listed() {
        let observatory = serving("service");
        let address = observatory.listen_address().unwrap();
        let read = |path: &str| -> Value {
            let (head, body) = get(address, path, "");
            assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
            serde_json::from_slice(&body).unwrap()
        };
        let conditions = read("/api/observatory/alerts/conditions");
        let rules = conditions.as_array().unwrap();
        let high = rules.iter().find(|rule| rule["rule"] == "high_error_rate");
        let first = &high.unwrap()["conditions"][0];
        assert_eq!(
            (&first["operator"], &first["threshold"]),
            (&json!(">"), &json!("0.05"))
        );
        assert!(read("/api/observatory/channels").get("console").is_some());
        for view in ["overview", "models", "alerts", "system"] {
            let dashboard = read(&format!("/api/observatory/export/grafana/{view}"));
            assert!(!dashboard["panels"].as_array().unwrap().is_empty());
        }
        let (head, _) = get(address, "/api/observatory/export/grafana/nothing", "");
        assert!(head.starts_with("http/1.0 404"), "{head}");
    }
}
