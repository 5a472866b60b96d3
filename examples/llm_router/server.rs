//! Serves `OpenAI`'s API: the cache, then routing, then an inference whose tokens are streamed as they are generated.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use futures_util::{Stream, StreamExt as _};
use llm_observatory::middleware::http::HttpMonitorLayer;
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::engine::{Engine, Job};
use crate::faults::FaultInjector;
use crate::http;
use crate::inference::Completion;
use crate::ledger::{Ended, Ledger};
use crate::openai::{Answer, ApiError, ChatRequest, DONE};
use crate::routing;

/// Tells clients whether an answer was generated or cached.
pub(crate) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// The client's id of a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The prefix of the built-in client's request ids; a number follows.
pub(crate) const CLIENT_PREFIX: &str = "llm-router-client-";

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) router: routing::Router,
    pub(crate) engine: Engine,
    pub(crate) faults: FaultInjector,
    pub(crate) ledger: Arc<Ledger>,
    cache: Cache,
    numbers: AtomicU64,
}

impl Service {
    pub(crate) fn new(router: routing::Router, engine: Engine, faults: FaultInjector) -> Self {
        let ledger = Arc::new(Ledger::new(router.models()));
        // Numbers of other clients' requests start above those of the built-in client.
        let numbers = AtomicU64::new(1 << 40);
        Self {
            router,
            engine,
            faults,
            ledger,
            cache: Cache::default(),
            numbers,
        }
    }
}

/// Returns the routes, with their monitoring.
pub(crate) fn app(service: Arc<Service>) -> Router {
    let ledger = Arc::clone(&service.ledger);
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/models", get(models))
        .fallback(|| async {
            not_found(
                StatusCode::NOT_FOUND,
                "there is no such path; try /v1/chat/completions",
            )
        })
        .method_not_allowed_fallback(|| async {
            not_found(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path takes another method",
            )
        })
        .layer(HttpMonitorLayer::new())
        .layer(middleware::from_fn_with_state(ledger, http::account))
        .with_state(service)
}

async fn chat_completions(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| ApiError {
        status: error.status(),
        code: "invalid_request",
        message: error.body_text(),
    })?;
    let request = ChatRequest::parse(&body)?;
    let client_request = client_request(&headers);
    let number = client_request.unwrap_or_else(|| service.numbers.fetch_add(1, Ordering::Relaxed));

    if request.is_repeatable() {
        let remembered = service.cache.get(&body);
        service
            .ledger
            .count_lookup(client_request, remembered.as_ref().map(|_| Ended::CacheHit));
        if let Some(answer) = remembered {
            return Ok((
                [(CONTENT_TYPE, "application/json"), (X_CACHE, "hit")],
                answer,
            )
                .into_response());
        }
    }

    let model = service.router.route(&request.model).map_err(|_| ApiError {
        status: StatusCode::NOT_FOUND,
        code: "model_not_found",
        message: format!(
            "there is no model {:?}; /v1/models lists them, and \"auto\" chooses",
            request.model
        ),
    })?;
    service
        .ledger
        .routing_decisions
        .fetch_add(1, Ordering::Relaxed);

    let prompt_tokens = request.prompt_tokens();
    let job = Job {
        model: Arc::clone(model),
        body: body.clone(),
        client_request,
        streaming: request.is_streaming(),
        prompt_tokens,
        max_tokens: request.max_tokens(),
        seed: seed(&body),
        fault: service.faults.draw(number),
    };
    let answer = Answer::new(number, &model.id, &request, prompt_tokens);
    let completion = Completion::start(&service.engine, &service.ledger, job).await?;

    let is_verbatim = service.engine.is_verbatim();
    if request.is_streaming() {
        let events = Body::from_stream(events(
            answer,
            completion,
            is_verbatim,
            request.wants_usage(),
        ));
        return Ok((
            [
                (CONTENT_TYPE, "text/event-stream"),
                (CACHE_CONTROL, "no-cache"),
            ],
            events,
        )
            .into_response());
    }
    let whole = whole(&answer, completion, is_verbatim).await?;
    if request.is_repeatable() {
        service.cache.put(body, whole.clone());
    }
    Ok((
        [(CONTENT_TYPE, "application/json"), (X_CACHE, "miss")],
        whole,
    )
        .into_response())
}

/// Streams the answer as server-sent events. When the client disconnects, hyper drops the stream and with it the
/// inference.
fn events(
    answer: Answer,
    mut completion: Completion,
    is_verbatim: bool,
    wants_usage: bool,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    async_stream::stream! {
        if !is_verbatim {
            yield Ok(answer.role_event());
        }
        while let Some(chunk) = completion.next().await {
            match chunk {
                Ok(chunk) if is_verbatim => yield Ok(chunk.content),
                Ok(chunk) => yield Ok(answer.content_event(&chunk.content)),
                Err(error) => {
                    yield Ok(ApiError::from(error).into_event());
                    return;
                }
            }
        }
        yield Ok(if is_verbatim {
            Bytes::from_static(DONE.as_bytes())
        } else {
            answer.final_events(completion.output_tokens(), wants_usage)
        });
    }
}

async fn whole(
    answer: &Answer,
    mut completion: Completion,
    is_verbatim: bool,
) -> Result<Bytes, ApiError> {
    let mut content = Vec::new();
    while let Some(chunk) = completion.next().await {
        content.extend_from_slice(&chunk?.content);
    }
    if is_verbatim {
        return Ok(Bytes::from(content));
    }
    Ok(answer.whole(
        &String::from_utf8_lossy(&content),
        completion.output_tokens(),
    ))
}

async fn models(State(service): State<Arc<Service>>) -> Json<Value> {
    let models = service.router.models().iter();
    let models = models.map(|model| json!({ "id": model.id, "object": "model", "created": 0, "owned_by": model.engine }));
    Json(json!({ "object": "list", "data": models.collect::<Vec<_>>() }))
}

fn not_found(status: StatusCode, message: &str) -> ApiError {
    ApiError {
        status,
        code: "not_found",
        message: message.to_owned(),
    }
}

/// Returns the request number of the built-in client.
fn client_request(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(X_REQUEST_ID)?
        .to_str()
        .ok()?
        .strip_prefix(CLIENT_PREFIX)?
        .parse()
        .ok()
}

/// Returns the seed of a request, so that the same request has the same answer.
fn seed(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
