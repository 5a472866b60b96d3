//! The vocabulary of observations for services that route or serve LLM inference.
//!
//! An [`Observation`] is plain data. The Layer creates observations from spans and events; applications and tests
//! create observations with `record_*()` calls. A [`Sink`] receives observations. This module depends neither on
//! `tracing` nor on an exporter nor on the registry.
//!
//! A new kind of span needs a row in [`kinds!`](kind), an observation in [`operations`], its series in
//! `metrics/sink/operations.rs`, its metric in `metrics/catalog.rs`, and its wrapper in `instrument/operations.rs`. A
//! new token count needs a row in `numbers!` ([`tokens`](self::tokens)) and its metric in `metrics/catalog.rs`.

mod attribute;
mod fn_sink;
mod http;
mod inference;
pub(crate) mod interner;
mod kind;
mod labels;
mod mapping;
mod operations;
mod outcome;
mod rpc;
mod sink;
mod text;
mod tokens;

pub use self::{
    attribute::{AttributeValue, SpanAttributes},
    fn_sink::FnSink,
    http::{HttpClientRequest, HttpRequest},
    inference::{GenAi, Inference, InferenceEnd, Model, TraceReference},
    labels::{Label, Labels, MAX_VALUE_BYTES, OVERFLOW},
    mapping::Mapping,
    operations::*,
    outcome::Outcome,
    rpc::{Rpc, RpcStatus},
    sink::{Dropped, Handle, InFlight, Sink},
    tokens::{TokenSource, Tokens},
};
pub(crate) use self::{
    http::known_method,
    kind::{Kind, kinds},
    sink::forward_sink,
    text::Text,
    tokens::{TokenDetail, numbers},
};
