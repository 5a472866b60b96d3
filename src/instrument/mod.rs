//! Wrappers that open spans for inferences, token streams, databases, caches, queues, routing and model loads.
//!
//! A wrapper knows the names of span and fields, records the outcome, and ends its span once. Applications can open the
//! same spans with `#[instrument]` and events. Wrappers only open spans and emit events: without the Layer of this crate,
//! a wrapper records nothing, and without a subscriber it costs next to nothing. An outer filter that disables the target
//! `llm_observatory` disables the spans of the wrappers.
//!
//! ```
//! use llm_observatory::{Model, Tokens, instrument::monitor_inference};
//!
//! # struct Answer { prompt_tokens: u64, completion_tokens: u64 }
//! # async fn ask(_: &str) -> Result<Answer, std::io::Error> { Ok(Answer { prompt_tokens: 9, completion_tokens: 3 }) }
//! # async fn example() -> Result<Answer, std::io::Error> {
//! let model = Model::new("gpt-4o", "transformer", "openai");
//! let answer = monitor_inference(model, ask("What does a monitoring system do?"))
//!     .usage(|answer: &Answer| Tokens::new(answer.prompt_tokens, answer.completion_tokens))
//!     .await?;
//! # Ok(answer)
//! # }
//! ```
//!
//! | Operation | Wrapper |
//! |---|---|
//! | a model call with a single answer | [`monitor_inference`] |
//! | a model call with a streamed answer | [`InferenceCall::begin`], then [`ActiveInference::stream`] with [`Sse::openai`], [`Sse::anthropic`] or a closure that counts tokens |
//! | another model call | [`InferenceCall::begin`] and the methods of [`ActiveInference`] |
//! | a database or queue operation | [`monitor_database`], [`monitor_queue`]; synchronous: [`observe_database`], [`observe_queue`] |
//! | a cache operation | [`monitor_cache`]; synchronous: [`observe_cache`]; the size: [`cache_size`] |
//! | the choice of a model | [`begin_routing`] |
//! | the loading or unloading of a model | [`monitor_model_load`], [`monitor_model_unload`] |
//! | an open connection | [`ConnectionGuard`] |
//! | the quality of answers | [`model_quality`], [`response_similarity`] |

mod connection;
mod inference;
mod monitored;
mod operations;
mod owned;
mod quality;
mod routing;
mod sse;
mod stream;

pub use self::{
    connection::ConnectionGuard,
    inference::{ActiveInference, InferenceCall},
    operations::*,
    quality::{cache_size, model_quality, response_similarity},
    routing::{ActiveRouting, begin_routing},
    sse::{Anthropic, OpenAi, Protocol, Sse},
    stream::{Progress, ReadChunk, TokenStream},
};
