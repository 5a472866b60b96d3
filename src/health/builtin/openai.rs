//! The check of an OpenAI-compatible server: its list of models, or a completion of one token.

use hyper::{StatusCode, body::Bytes, header};
use serde_json::{Value, json};

use super::Requests;
use crate::{
    health::{Check, CheckResult},
    net::Endpoint,
    privacy::Secret,
};

/// Returns the check of the server at `url`, with or without `/v1` at the end; `None` if the URL is invalid.
pub(super) fn check(url: &str, api_key: Option<&Secret>, model: Option<String>) -> Option<Check> {
    let endpoint = Endpoint::new(url)?;
    let base = endpoint
        .path()
        .trim_end_matches('/')
        .trim_end_matches("/v1")
        .to_owned();
    let path = if model.is_some() {
        "chat/completions"
    } else {
        "models"
    };
    let url = endpoint.with_path(&format!("{base}/v1/{path}")).expose();
    let mut requests = Requests::new(&url, api_key)?;
    let json = header::HeaderValue::from_static("application/json");
    requests.headers.insert(header::CONTENT_TYPE, json);
    Some(Check::own(move || ask(requests.clone(), model.clone())))
}

async fn ask(requests: Requests, model: Option<String>) -> CheckResult {
    let Requests {
        client,
        uri,
        headers,
    } = &requests;
    let sent = match &model {
        None => client.get(uri, headers).await,
        Some(model) => {
            let messages = json!([{ "role": "user", "content": "ping" }]);
            let body = json!({ "model": model, "messages": messages, "max_tokens": 1 });
            client
                .post(uri, headers, Bytes::from(body.to_string()))
                .await
        }
    };
    match sent {
        Ok(response) => answer(response.status, &response.body, model.is_some()),
        Err(error) => CheckResult::unhealthy(error.to_string()),
    }
}

/// Returns the result of an answer.
fn answer(status: StatusCode, body: &[u8], is_completion: bool) -> CheckResult {
    let code = status.as_u16();
    let result = match code {
        200..=299 => {
            let list = if is_completion { "choices" } else { "data" };
            let count = serde_json::from_slice::<Value>(body)
                .ok()
                .and_then(|body| body.get(list)?.as_array().map(Vec::len));
            match (count, is_completion) {
                (Some(0), false) => CheckResult::degraded("the server has no model"),
                (Some(count), false) => {
                    CheckResult::healthy(format!("{count} models")).with_data("models", count)
                }
                (Some(_), true) => CheckResult::healthy("a token was completed"),
                // A list beyond the size limit of answers is cut off, and is an answer all the same.
                (None, false) if body.len() >= MAX_BODY_BYTES => {
                    CheckResult::healthy("many models")
                }
                (None, _) => CheckResult::unhealthy("the answer is not that of the OpenAI API"),
            }
        }
        401 | 403 => CheckResult::unhealthy(format!("status {status}: the API key is refused")),
        429 => CheckResult::degraded(format!("status {status}: requests are limited")),
        _ => CheckResult::unhealthy(format!("status {status}")),
    };
    result.with_data("status_code", code)
}

/// The size at which the client cuts off an answer.
const MAX_BODY_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthStatus::{self, Degraded, Healthy, Unhealthy};

    #[test]
    fn an_answer_counts_only_in_the_form_of_the_api() {
        let of = |code: u16, body: &str, is_completion| -> HealthStatus {
            let status = StatusCode::from_u16(code).unwrap();
            answer(status, body.as_bytes(), is_completion).status
        };
        assert_eq!(of(200, r#"{"data":[{"id":"m"}]}"#, false), Healthy);
        assert_eq!(of(200, r#"{"data":[]}"#, false), Degraded);
        assert_eq!(of(200, "<html>", false), Unhealthy);
        assert_eq!(of(200, r#"{"choices":[{}]}"#, true), Healthy);
        assert_eq!(of(200, r#"{"data":[]}"#, true), Unhealthy);
        assert_eq!(of(401, "", false), Unhealthy);
        assert_eq!(of(429, "", true), Degraded);
        assert_eq!(of(503, "", false), Unhealthy);
        let long = " ".repeat(MAX_BODY_BYTES);
        assert_eq!(of(200, &long, false), Healthy);
    }
}
