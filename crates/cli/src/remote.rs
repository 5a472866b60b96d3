//! Commands that ask a running service over HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::{
    Failure,
    output::{self, coloured, field, labels, table},
};

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum size of an answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The service that is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Service {
    /// Address [OBSERVATORY_URL, http://127.0.0.1:9090].
    #[arg(
        long,
        env = "OBSERVATORY_URL",
        hide_env = true,
        hide_default_value = true,
        default_value = "http://127.0.0.1:9090"
    )]
    url: String,
}

/// Returns the bearer token. It is no argument, since other users can see the arguments of a process.
fn token() -> Option<String> {
    let token = std::env::var("OBSERVATORY_TOKEN").ok();
    token.filter(|token| !token.is_empty())
}

impl Service {
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = self.send(Method::GET, path, None).await?;
        accepted(status, &body)
    }

    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Failure> {
        let (status, body) = self.send(method, path, Some(body)).await?;
        accepted(status, &body)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, String), Failure> {
        let address = format!("{}{path}", self.url.trim_end_matches('/'));
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Service(format!(
                "{} cannot be reached: {error}\nIs the service running, and is --url (OBSERVATORY_URL) right?",
                self.url
            ))
        };
        let mut request = Request::builder().method(method).uri(&address);
        if let Some(token) = token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        let connector = connector().map_err(|error| failed(&error))?;
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let exchange = async {
            let response = client
                .request(request)
                .await
                .map_err(|error| failed(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
            let body = body.collect().await.map_err(|error| failed(&error))?;
            Ok((
                status,
                String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            ))
        };
        let answer = tokio::time::timeout(TIMEOUT, exchange).await;
        answer.map_err(|_| failed(&"no answer within 30s"))?
    }
}

fn connector() -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider();
    let builder = rustls::ClientConfig::builder_with_provider(provider.into());
    let tls = builder.with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build())
}

/// Returns the answer, or the error in it.
fn accepted(status: StatusCode, body: &str) -> Result<Value, Failure> {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    if status.is_success() {
        let wrong =
            || Failure::Service("the answer is not JSON; is this an observatory?".to_owned());
        return parsed.ok_or_else(wrong);
    }
    let reason = parsed
        .map(|body| field(&body, "/error"))
        .filter(|text| !text.is_empty());
    let reason = reason.unwrap_or_else(|| body.trim().chars().take(300).collect());
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "\nSet OBSERVATORY_TOKEN.",
        _ => "",
    };
    Err(Failure::Service(format!(
        "the service answered {status}: {reason}{hint}"
    )))
}

pub(crate) async fn status(service: &Service, json: bool) -> Result<(), Failure> {
    let status = service.get("/status").await?;
    if json {
        output::json(&status);
        return Ok(());
    }
    for (name, path) in [
        ("service", "/service"),
        ("environment", "/environment"),
        ("version", "/version"),
        ("uptime (s)", "/uptime_seconds"),
        ("address", "/listen"),
        ("metrics", "/metrics"),
        ("series", "/series"),
        ("observations", "/observations"),
        ("dropped", "/dropped_observations"),
    ] {
        outln!("{name:14}{}", field(&status, path));
    }
    if let Some(Value::Array(states)) = status.pointer("/component_states") {
        for component in states {
            let state = field(component, "/state");
            let reason = field(component, "/reason");
            let state = coloured(&state, state == "running");
            let line = format!("{:14}{state}  {reason}", field(component, "/name"));
            outln!("{}", line.trim_end());
        }
    } else if let Some(Value::Object(components)) = status.pointer("/components") {
        for (name, state) in components {
            let is_on = state != &Value::Bool(false);
            let text = match state {
                Value::Bool(true) => "on".to_owned(),
                Value::Bool(false) => "off".to_owned(),
                other => other.to_string(),
            };
            outln!("{name:14}{}", coloured(&text, is_on));
        }
    }
    for problem in status
        .pointer("/problems")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        outln!(
            "{} {}",
            coloured("problem:", false),
            problem.as_str().unwrap_or_default()
        );
    }
    Ok(())
}

pub(crate) async fn health(service: &Service, json: bool) -> Result<(), Failure> {
    let (status, body) = service.send(Method::GET, "/health", None).await?;
    let report: Value = serde_json::from_str(&body).map_err(|_| {
        Failure::Service(format!(
            "the service answered {status} without a health report"
        ))
    })?;
    if json {
        output::json(&report);
    } else {
        outln!(
            "{}",
            coloured(&field(&report, "/status"), status.is_success())
        );
        if let Some(Value::Object(checks)) = report.pointer("/checks") {
            let rows: Vec<_> = checks
                .iter()
                .map(|(name, check)| {
                    vec![
                        name.clone(),
                        field(check, "/status"),
                        field(check, "/message"),
                    ]
                })
                .collect();
            out!("{}", table(&["CHECK", "STATUS", "MESSAGE"], &rows));
        }
    }
    if status.is_success() {
        Ok(())
    } else {
        Err(Failure::Check)
    }
}

/// Encodes parameters of a path.
pub(crate) fn parameters(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub(crate) async fn query(
    service: &Service,
    expression: &str,
    range: Option<(&str, &str)>,
    json: bool,
) -> Result<(), Failure> {
    let path = match range {
        None => format!("/api/v1/query?{}", parameters(&[("query", expression)])),
        Some((range, step)) => {
            let duration = |text: &str| {
                let wrong =
                    |_| Failure::Invalid(format!("{text:?} is not a duration such as `1h`"));
                humantime::parse_duration(text).map_err(wrong)
            };
            let (range, step) = (duration(range)?, duration(step)?);
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let (start, end) = (now.saturating_sub(range), now);
            let seconds = |duration: Duration| format!("{:.3}", duration.as_secs_f64());
            let pairs = [
                ("query", expression),
                ("start", &seconds(start)),
                ("end", &seconds(end)),
                ("step", &seconds(step)),
            ];
            format!("/api/v1/query_range?{}", parameters(&pairs))
        }
    };
    let answer = service.get(&path).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    for warning in answer
        .pointer("/warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    out!("{}", result_table(&answer));
    Ok(())
}

/// Formats a result of Prometheus's API as a table.
fn result_table(answer: &Value) -> String {
    let result = answer.pointer("/data/result");
    match (
        answer.pointer("/data/resultType").and_then(Value::as_str),
        result,
    ) {
        (Some("vector"), Some(Value::Array(series))) => {
            if series.is_empty() {
                return "no series\n".to_owned();
            }
            let row =
                |series: &Value| vec![field(series, "/value/1"), labels(series.get("metric"))];
            let rows: Vec<_> = series.iter().map(row).collect();
            table(&["VALUE", "SERIES"], &rows)
        }
        (Some("matrix"), Some(Value::Array(series))) => {
            if series.is_empty() {
                return "no series\n".to_owned();
            }
            let mut text = String::new();
            for series in series {
                text.push_str(&labels(series.get("metric")));
                text.push('\n');
                let points = series.get("values").and_then(Value::as_array);
                let row = |point: &Value| {
                    let at = point
                        .pointer("/0")
                        .and_then(Value::as_f64)
                        .unwrap_or_default();
                    let at = UNIX_EPOCH + Duration::try_from_secs_f64(at).unwrap_or_default();
                    let at = humantime::format_rfc3339_seconds(at).to_string();
                    vec![at, field(point, "/1")]
                };
                let rows: Vec<_> = points.into_iter().flatten().map(row).collect();
                text.push_str(&table(&["TIME", "VALUE"], &rows));
            }
            text
        }
        (_, Some(result)) => format!("{}\n", field(result, "/1")),
        _ => "no result\n".to_owned(),
    }
}

pub(crate) async fn traces(service: &Service, json: bool) -> Result<(), Failure> {
    let answer = service.get("/api/observatory/traces").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let traces = answer.get("recent").and_then(Value::as_array);
    let row = |trace: &Value| {
        let seconds = trace.get("durationSeconds").and_then(Value::as_f64);
        vec![
            field(trace, "/traceId"),
            format!("{:.3}s", seconds.unwrap_or_default()),
            field(trace, "/spans"),
            field(trace, "/failed"),
            field(trace, "/name"),
        ]
    };
    let rows: Vec<_> = traces.into_iter().flatten().map(row).collect();
    out!(
        "{}",
        table(&["TRACE", "DURATION", "SPANS", "FAILED", "NAME"], &rows)
    );
    Ok(())
}

pub(crate) async fn trace(service: &Service, id: &str, json: bool) -> Result<(), Failure> {
    let answer = service
        .get(&format!("/api/observatory/traces/{id}"))
        .await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let spans = answer.get("spans").and_then(Value::as_array);
    let row = |span: &Value| {
        let seconds = span.get("durationSeconds").and_then(Value::as_f64);
        vec![
            format!("{:.3}s", seconds.unwrap_or_default()),
            field(span, "/kind"),
            field(span, "/name"),
            field(span, "/error"),
        ]
    };
    let rows: Vec<_> = spans.into_iter().flatten().map(row).collect();
    out!("{}", table(&["DURATION", "KIND", "SPAN", "ERROR"], &rows));
    Ok(())
}
