//! Sends the same API requests to us and to a Prometheus that scrapes us; uses promtool as a client.

use std::time::Duration;

use llm_observatory::Observatory;
use serde_json::Value;

use self::Method::{Get, Post};
use super::{
    process::{is_here, query, wait_for},
    prometheus::{Prometheus, promtool, promtool_query},
    scrape::observed_with_tick,
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Both {
    ours: String,
    theirs: String,
    _observatory: Observatory,
    _prometheus: Prometheus,
}

/// Starts an observatory with some inferences and ticks, and a Prometheus that scrapes it.
fn both(name: &str) -> Option<Both> {
    if !is_here("prometheus") || !is_here("promtool") {
        return None;
    }
    let observatory = observed_with_tick(Duration::from_millis(250));
    let address = observatory.listen_address().unwrap().to_string();
    let prometheus = Prometheus::scraping(&address, name);
    let both = Both {
        ours: format!("http://{address}"),
        theirs: prometheus.url.clone(),
        _observatory: observatory,
        _prometheus: prometheus,
    };
    for server in [&both.ours, &both.theirs] {
        wait_for("two samples", PATIENCE, || {
            query(
                server,
                "count_over_time(llm_router_active_inferences{model_id=\"gpt-4o\"}[1m]) > 2",
            )
        });
    }
    Some(both)
}

enum Method {
    Get,
    Post,
}

/// Returns the status and the body of a response.
fn ask(server: &str, method: &Method, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
    let parameters = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let client = reqwest::Client::new();
    let request = match method {
        Method::Get => client.get(format!("{server}{path}?{parameters}")),
        Method::Post => client
            .post(format!("{server}{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(parameters),
    };
    super::process::block_on(async {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    })
}

/// Returns the shape of a response: the keys of its objects, the first element of each list, the types.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let keys = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", shape(value)));
            format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.first().map_or(String::new(), shape)),
        Value::String(_) => "string".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

/// Removes the labels that a scrape adds, and sorts.
fn without_target(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("job");
                map.remove("instance");
                map.values_mut().for_each(walk);
            }
            Value::Array(list) => {
                list.iter_mut().for_each(walk);
                // The elements of an instant vector have no defined order.
                list.sort_by_key(Value::to_string);
            }
            _ => {}
        }
    }
    walk(&mut value);
    value
}

fn now() -> f64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs_f64()
}

/// The bounds of a range whose last step, at any whole number of seconds, is now.
fn last_minute() -> (String, String) {
    let end = now();
    (format!("{:.3}", end - 60.0), format!("{end:.3}"))
}

#[test]
fn the_requests_of_grafana_are_answered_as_prometheus_answers_them() {
    let Some(both) = both("grafana") else { return };
    let (start, end) = last_minute();
    let total = "sum by (model_id) (llm_router_model_inference_total)";
    let selector = r#"{__name__="llm_router_tokens_generated_total"}"#;
    // Responses that are equal, value for value.
    for (method, path, parameters) in [
        (
            Post,
            "/api/v1/query",
            vec![("query", total), ("time", &*end)],
        ),
        (
            Get,
            "/api/v1/query",
            vec![("query", "1+1"), ("time", "1435781451.781")],
        ),
        (
            Get,
            "/api/v1/query",
            vec![("query", "\"text\""), ("time", "1435781451")],
        ),
        (
            Get,
            "/api/v1/query",
            vec![("query", "vector(1)"), ("time", "2015-07-01T20:10:51.781Z")],
        ),
        (
            Get,
            "/api/v1/query",
            vec![("query", total), ("time", &*end), ("timeout", "5s")],
        ),
        (
            Get,
            "/api/v1/format_query",
            vec![("query", "sum  by(a)(rate( foo [ 5m ] ))")],
        ),
        (
            Post,
            "/api/v1/series",
            vec![("match[]", selector), ("start", &*start), ("end", &*end)],
        ),
        (
            Get,
            "/api/v1/label/model_id/values",
            vec![("start", &*start), ("end", &*end)],
        ),
        (
            Get,
            "/api/v1/label/model_id/values",
            vec![("match[]", r#"{engine="vllm"}"#)],
        ),
        (Get, "/api/v1/label/nothing/values", vec![]),
        (
            Get,
            "/api/v1/label/__name__/values",
            vec![("match[]", r#"{__name__=~"llm_router_.+_total"}"#)],
        ),
    ] {
        let ours = ask(&both.ours, &method, path, &parameters);
        let theirs = ask(&both.theirs, &method, path, &parameters);
        assert_eq!(
            (ours.0, without_target(ours.1)),
            (theirs.0, without_target(theirs.1)),
            "{path} {parameters:?}"
        );
    }
}

#[test]
fn responses_that_depend_on_time_have_the_format_of_prometheus() {
    let Some(both) = both("shapes") else { return };
    let (start, end) = last_minute();
    let total = "sum by (model_id) (llm_router_model_inference_total)";
    // Responses that depend on sampling times or on labels of the scrape: equal status and shape.
    for (method, path, parameters) in [
        (
            Post,
            "/api/v1/query_range",
            vec![
                ("query", total),
                ("start", &*start),
                ("end", &*end),
                ("step", "1"),
            ],
        ),
        (
            Get,
            "/api/v1/query_range",
            vec![
                ("query", "time()"),
                ("start", &*start),
                ("end", &*end),
                ("step", "15s"),
            ],
        ),
        (
            Post,
            "/api/v1/labels",
            vec![("start", &*start), ("end", &*end)],
        ),
        (
            Get,
            "/api/v1/metadata",
            vec![("metric", "llm_router_active_inferences")],
        ),
        (Get, "/api/v1/status/buildinfo", vec![]),
        (
            Get,
            "/api/v1/query_exemplars",
            vec![
                (
                    "query",
                    "rate(llm_router_model_inference_duration_seconds_bucket[1m])",
                ),
                ("start", "0"),
                ("end", &*end),
            ],
        ),
    ] {
        let ours = ask(&both.ours, &method, path, &parameters);
        let theirs = ask(&both.theirs, &method, path, &parameters);
        let shape = |answer: (u16, Value)| (answer.0, shape(&without_target(answer.1)));
        assert_eq!(shape(ours), shape(theirs), "{path} {parameters:?}");
    }
}

#[test]
fn invalid_requests_are_refused_as_by_prometheus() {
    let Some(both) = both("refused") else { return };
    let range = |query, start, end, step| {
        (
            "/api/v1/query_range",
            vec![
                ("query", query),
                ("start", start),
                ("end", end),
                ("step", step),
            ],
        )
    };
    for (path, parameters) in [
        ("/api/v1/query", vec![]),
        ("/api/v1/query", vec![("query", "sum(")]),
        ("/api/v1/query", vec![("query", "up"), ("time", "noon")]),
        ("/api/v1/query", vec![("query", "up"), ("timeout", "long")]),
        ("/api/v1/query", vec![("query", "{a=~\"(\"}")]),
        range("up", "10", "5", "1"),
        range("up", "5", "10", "0"),
        range("up", "5", "10", "-1"),
        range("up", "5", "10", "x"),
        range("up", "0", "11001", "1"),
        range("up", "", "10", "1"),
        ("/api/v1/series", vec![]),
        ("/api/v1/series", vec![("match[]", "{")]),
        ("/api/v1/labels", vec![("start", "x")]),
        (
            "/api/v1/query_exemplars",
            vec![("query", "up"), ("start", "7"), ("end", "1")],
        ),
        ("/api/v1/format_query", vec![("query", "sum(")]),
    ] {
        let ours = ask(&both.ours, &Method::Get, path, &parameters);
        let theirs = ask(&both.theirs, &Method::Get, path, &parameters);
        assert_eq!(
            (ours.0, &ours.1["status"], &ours.1["errorType"]),
            (theirs.0, &theirs.1["status"], &theirs.1["errorType"]),
            "{path} {parameters:?}: {} / {}",
            ours.1,
            theirs.1
        );
        // Both name the parameter in the same words.
        let named = |answer: &Value| {
            let error = answer["error"].as_str().unwrap();
            error.split(": ").next().unwrap().to_owned()
        };
        assert_eq!(named(&ours.1), named(&theirs.1), "{path} {parameters:?}");
    }
}

#[test]
fn promtool_queries_us_as_it_queries_prometheus() {
    let Some(both) = both("promtool") else { return };
    let said = promtool_query(&both.ours, "sum(llm_router_model_inference_total)");
    assert!(said.contains("=> 3 @"), "{said}");
    let said = promtool(&[
        "query",
        "range",
        "--step=1s",
        &both.ours,
        "llm_router_model_inference_total",
    ]);
    assert!(said.contains("model_id=\"gpt-4o\""), "{said}");
    let selector = "--match=llm_router_model_inference_total";
    let lines = |server| {
        let said = promtool(&["query", "series", selector, server]);
        said.lines().count()
    };
    assert_eq!(lines(&both.ours), lines(&both.theirs));
    let said = promtool(&["query", "labels", &both.ours, "model_id"]);
    assert!(said.lines().any(|line| line == "gpt-4o"), "{said}");
}
