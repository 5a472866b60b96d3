//! Wraps futures and synchronous calls in the span of their operation.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tracing::{Span, field::Empty, info_span};

use super::{
    inference::{ActiveInference, InferenceCall},
    monitored::{Classify, Ends, InSpan},
    owned::Owned,
};
use crate::observation::{CacheResult, Model, Tokens};

/// Reads the token counts of an answer. Implemented for closures; by [`OpenAi`](super::OpenAi) and
/// [`Anthropic`](super::Anthropic) for the body of a complete answer; and by `()`, which reads no counts.
pub trait Usage<T: ?Sized> {
    /// Returns the token counts; [`Tokens::unknown`] for an answer without counts.
    fn usage(&self, answer: &T) -> Tokens;
}

impl<T: ?Sized, F: Fn(&T) -> Tokens> Usage<T> for F {
    fn usage(&self, answer: &T) -> Tokens {
        self(answer)
    }
}

impl<T: ?Sized> Usage<T> for () {
    fn usage(&self, _: &T) -> Tokens {
        Tokens::unknown()
    }
}

/// Ends an inference by the result of its future.
#[derive(Debug)]
struct InferenceEnding<U, C> {
    inference: ActiveInference,
    usage: U,
    classify: C,
}

pin_project! {
    /// The future of a measured model call; created by [`monitor_inference`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct MonitoredInference<F, U = (), C = ()> {
        #[pin]
        future: InSpan<F, InferenceEnding<U, C>>,
    }
}

/// Measures a model call with a single answer.
///
/// `Ok` counts as success and `Err` as failure; a future that is dropped before its end counts as cancelled.
/// [`usage`](MonitoredInference::usage) sets the reader of token counts, [`classify`](MonitoredInference::classify) the
/// classifier of errors.
pub fn monitor_inference<'a, F, T, E>(
    call: impl Into<InferenceCall<'a>>,
    future: F,
) -> MonitoredInference<F>
where
    F: Future<Output = Result<T, E>>,
{
    let inference = call.into().begin();
    let span = inference.span().clone();
    let ending = InferenceEnding {
        inference,
        usage: (),
        classify: (),
    };
    MonitoredInference {
        future: InSpan::new(future, &span, ending),
    }
}

impl<F, U, C> MonitoredInference<F, U, C> {
    /// Sets the reader of the answer's token counts.
    pub fn usage<N>(self, usage: N) -> MonitoredInference<F, N, C> {
        MonitoredInference {
            future: self.future.map_ending(|ending| InferenceEnding {
                inference: ending.inference,
                usage,
                classify: ending.classify,
            }),
        }
    }

    /// Sets the classifier of errors: a closure that returns the class of an error, for example `rate_limited`, never a
    /// message. The class `timeout` marks a timeout. Default: `error` for every error.
    pub fn classify<N>(self, classify: N) -> MonitoredInference<F, U, N> {
        MonitoredInference {
            future: self.future.map_ending(|ending| InferenceEnding {
                inference: ending.inference,
                usage: ending.usage,
                classify,
            }),
        }
    }
}

impl<F, T, E, U, C> Future for MonitoredInference<F, U, C>
where
    F: Future<Output = Result<T, E>>,
    U: Usage<T>,
    C: Classify<E>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context)
    }
}

impl<T, E, U: Usage<T>, C: Classify<E>> Ends<Result<T, E>> for InferenceEnding<U, C> {
    fn ended(self, output: &Result<T, E>) {
        match output {
            Ok(answer) => {
                self.inference.used(self.usage.usage(answer));
                self.inference.succeed();
            }
            Err(error) => self
                .inference
                .fail(self.classify.class(error).unwrap_or("error")),
        }
    }
}

/// Ends an operation by its result.
#[derive(Debug)]
struct ResultEnding<C> {
    span: Owned,
    classify: C,
}

pin_project! {
    /// The future of a measured operation, whose result is success or failure; created by [`monitor_database`],
    /// [`monitor_queue`], [`monitor_model_load`] and [`monitor_model_unload`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Monitored<F, C = ()> {
        #[pin]
        future: InSpan<F, ResultEnding<C>>,
    }
}

impl<T, E, C: Classify<E>> Ends<Result<T, E>> for ResultEnding<C> {
    fn ended(self, output: &Result<T, E>) {
        match output {
            Ok(_) => {
                self.span.record("status", "success");
            }
            Err(error) => fail(&self.span, self.classify.class(error)),
        }
    }
}

impl<F, C> Monitored<F, C> {
    /// Sets the classifier of errors: a closure that returns the class of an error, for example `deadlock`, never a
    /// message. The class `timeout` marks a timeout. Default: `error` for every error.
    pub fn classify<N>(self, classify: N) -> Monitored<F, N> {
        Monitored {
            future: self.future.map_ending(|ending| ResultEnding {
                span: ending.span,
                classify,
            }),
        }
    }
}

impl<F, T, E, C> Future for Monitored<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<E>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context)
    }
}

fn fail(span: &Span, class: Option<&'static str>) {
    let error_type = class.unwrap_or("error");
    let status = if error_type == "timeout" {
        "timeout"
    } else {
        "error"
    };
    tracing::record_all!(span, error.r#type = error_type, status = status);
}

fn awaited<F, T, E>(span: &Span, future: F) -> Monitored<F>
where
    F: Future<Output = Result<T, E>>,
{
    let ending = ResultEnding {
        span: Owned::new(span.clone()),
        classify: (),
    };
    Monitored {
        future: InSpan::new(future, span, ending),
    }
}

fn at_once<T, E>(span: Span, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let span = Owned::new(span);
    let output = span.in_scope(work);
    ResultEnding { span, classify: () }.ended(&output);
    output
}

/// Opens the span of an operation, with the fields that its end records.
macro_rules! operation_span {
    ($name:literal, $($field:ident),+) => {
        info_span!(
            $name,
            $($field,)+
            error.r#type = Empty,
            status = Empty,
            observatory.ended = Empty,
        )
    };
}

fn database(operation: &str, table: &str) -> Span {
    operation_span!("db_query", operation, table)
}

fn queue(queue: &str, operation: &str) -> Span {
    operation_span!("queue", queue, operation)
}

fn cache(operation: &str, cache_type: &str) -> Span {
    operation_span!("cache", operation, cache_type)
}

/// Measures an operation on a table or collection, for example `SELECT` on `users`.
pub fn monitor_database<F, T, E>(operation: &str, table: &str, future: F) -> Monitored<F>
where
    F: Future<Output = Result<T, E>>,
{
    awaited(&database(operation, table), future)
}

/// Measures a synchronous operation on a table or collection; see [`monitor_database`].
///
/// # Errors
///
/// Returns the error of `work`.
pub fn observe_database<T, E>(
    operation: &str,
    table: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    at_once(database(operation, table), work)
}

/// Measures an operation on a queue, for example `publish` on `jobs`.
pub fn monitor_queue<F, T, E>(queue_name: &str, operation: &str, future: F) -> Monitored<F>
where
    F: Future<Output = Result<T, E>>,
{
    awaited(&queue(queue_name, operation), future)
}

/// Measures a synchronous operation on a queue; see [`monitor_queue`].
///
/// # Errors
///
/// Returns the error of `work`.
pub fn observe_queue<T, E>(
    queue_name: &str,
    operation: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    at_once(queue(queue_name, operation), work)
}

/// Measures the loading of a model; a successful load increments `loaded_models`.
pub fn monitor_model_load<F, T, E>(model: Model<'_>, future: F) -> Monitored<F>
where
    F: Future<Output = Result<T, E>>,
{
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    let span = operation_span!("model_load", model_id, model_type, engine);
    awaited(&span, future)
}

/// Measures the unloading of a model; a successful unload decrements `loaded_models`.
pub fn monitor_model_unload<F, T, E>(model: Model<'_>, future: F) -> Monitored<F>
where
    F: Future<Output = Result<T, E>>,
{
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    let span = operation_span!("model_unload", model_id, model_type, engine);
    awaited(&span, future)
}

/// The result of a cache operation. Implemented for the return types of caches: `Some` and `true` are a hit, `None` and
/// `false` a miss, `()` a success, and `Err` an error.
pub trait CacheAnswer {
    /// Returns hit, miss or error.
    fn result(&self) -> CacheResult;
}

impl<T> CacheAnswer for Option<T> {
    fn result(&self) -> CacheResult {
        self.is_some().result()
    }
}

impl CacheAnswer for bool {
    fn result(&self) -> CacheResult {
        if *self {
            CacheResult::Hit
        } else {
            CacheResult::Miss
        }
    }
}

impl CacheAnswer for () {
    fn result(&self) -> CacheResult {
        CacheResult::Hit
    }
}

impl<T: CacheAnswer, E> CacheAnswer for Result<T, E> {
    fn result(&self) -> CacheResult {
        self.as_ref()
            .map_or(CacheResult::Error, CacheAnswer::result)
    }
}

/// Ends a cache operation by its result.
#[derive(Debug)]
struct CacheEnding(Owned);

impl<T: CacheAnswer> Ends<T> for CacheEnding {
    fn ended(self, output: &T) {
        match output.result() {
            CacheResult::Error => fail(&self.0, None),
            result => {
                self.0.record("status", result.as_str());
            }
        }
    }
}

/// Measures a cache operation, for example `get` on `response`: hit, miss or error, by the output of the future.
pub fn monitor_cache<F>(
    operation: &str,
    cache_type: &str,
    future: F,
) -> impl Future<Output = F::Output> + use<F>
where
    F: Future<Output: CacheAnswer>,
{
    let span = cache(operation, cache_type);
    InSpan::new(future, &span, CacheEnding(Owned::new(span.clone())))
}

/// Measures a synchronous cache operation; see [`monitor_cache`].
pub fn observe_cache<T: CacheAnswer>(
    operation: &str,
    cache_type: &str,
    work: impl FnOnce() -> T,
) -> T {
    let span = Owned::new(cache(operation, cache_type));
    let output = span.in_scope(work);
    CacheEnding(span).ended(&output);
    output
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_futures_can_be_spawned_and_outlive_the_names_of_their_operations() {
        const fn can_be_spawned<F: Future + Send + 'static>(_: &F) {}
        let name = String::from("get");
        let cache = monitor_cache(&name, &name, async { true });
        let database = monitor_database(&name, &name, async { Ok::<_, Infallible>(()) });
        let inference = monitor_inference(Model::new(&name, &name, &name), async {
            Ok::<_, Infallible>(())
        });
        drop(name);
        can_be_spawned(&cache);
        can_be_spawned(&database);
        can_be_spawned(&inference);
    }
}
