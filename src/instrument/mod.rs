//! Wrappers that open the right span: for inferences, streams of tokens, databases, caches, queues, routing, models.
//!
//! Everything here also works with plain `#[instrument]` and events; a wrapper knows the names, records the outcome,
//! and ends its span exactly once. Nothing is recorded in any other way: what the Layer makes of the spans is all
//! there is, so without our Layer, and without any subscriber, a wrapper does nothing and costs next to nothing.
//! A filter outside the Layer that turns the target `llm_observatory` away turns these spans away with it.
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
//! | What | How |
//! |---|---|
//! | a model answers at once | [`monitor_inference`] |
//! | a model answers in a stream | [`InferenceCall::begin`], then [`ActiveInference::stream`] with [`Sse::openai`], [`Sse::anthropic`] or a closure that counts |
//! | neither fits | [`InferenceCall::begin`], and the [`ActiveInference`] by hand |
//! | a database, a queue | [`monitor_database`], [`monitor_queue`]; `observe_` where nothing is awaited |
//! | a cache | [`monitor_cache`], [`observe_cache`], [`cache_size`] |
//! | a model is chosen | [`begin_routing`] |
//! | a model is loaded, unloaded | [`monitor_model_load`], [`monitor_model_unload`] |
//! | a connection is open | [`ConnectionGuard`] |
//! | answers are judged | [`model_quality`], [`response_similarity`] |

mod connection;
mod inference;
mod judged;
mod monitored;
mod operations;
mod owned;
mod routing;
mod sse;
mod stream;

pub use self::{
    connection::ConnectionGuard,
    inference::{ActiveInference, InferenceCall},
    judged::{cache_size, model_quality, response_similarity},
    monitored::{Classify, Ends, Monitored, Unclassified},
    operations::{
        CacheAnswer, CacheEnding, InferenceEnding, NoUsage, ResultEnding, Usage, monitor_cache,
        monitor_database, monitor_inference, monitor_model_load, monitor_model_unload,
        monitor_queue, observe_cache, observe_database, observe_queue,
    },
    routing::{ActiveRouting, begin_routing},
    sse::{Anthropic, OpenAi, Protocol, Sse},
    stream::{Progress, ReadChunk, TokenStream},
};
