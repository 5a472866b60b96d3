//! The measured operation: an annotated inference with the labels of the catalog.

use std::{hint::black_box, time::Instant};

use tracing::{Span, field::Empty, info_span};

/// A model.
pub(crate) struct Model {
    pub(crate) id: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) engine: &'static str,
}

const fn model(id: &'static str, kind: &'static str, engine: &'static str) -> Model {
    Model { id, kind, engine }
}

const MODELS: [Model; 10] = [
    model("gpt-3.5-turbo", "transformer", "openai"),
    model("gpt-4o-2024-11-20", "transformer", "openai"),
    model("claude-sonnet-4-5", "transformer", "anthropic"),
    model("llama-3.1-70b-instruct", "transformer", "vllm"),
    model("llama-3.1-8b-instruct", "transformer", "llama.cpp"),
    model("mixtral-8x22b", "moe", "vllm"),
    model("qwen2.5-72b-instruct-awq", "transformer", "vllm"),
    model("mamba-2.8b", "ssm", "candle"),
    model("phi-3-mini-4k-instruct", "transformer", "onnx"),
    model("deepseek-v3", "moe", "sglang"),
];

/// Seconds that are added to the durations of hand-written measurements, so that their values fall into many buckets.
/// (This crate measures real durations, which fall into the first bucket; its bucket search starts near the other end.)
const SPREAD: [f64; 16] = [
    0.03, 0.3, 1.2, 4.0, 0.08, 0.6, 2.2, 8.0, 0.12, 0.9, 1.7, 0.4, 15.0, 0.02, 0.7, 3.0,
];

/// Buckets of the peers' histograms.
pub(crate) const DURATION_BUCKETS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
pub(crate) const SPEED_BUCKETS: [f64; 12] = [
    1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0,
];

/// Tokens of every inference.
pub(crate) const PROMPT_TOKENS: u64 = 120;
pub(crate) const COMPLETION_TOKENS: u64 = 480;

/// Returns the model of a turn.
#[inline]
pub(crate) fn model_of(turn: usize) -> &'static Model {
    &MODELS[turn % MODELS.len()]
}

/// Returns the seconds since `start`, plus the spread.
#[inline]
pub(crate) fn seconds_since(start: Instant, turn: usize) -> f64 {
    start.elapsed().as_secs_f64() + SPREAD[turn % SPREAD.len()]
}

/// One annotated inference; `inside` is the work of a hand-written measurement before the inference ends.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "each variant has its own copy, as an application would"
)]
pub(crate) fn inference(model: &Model, inside: impl FnOnce()) {
    let span = info_span!(
        "inference",
        model_id = model.id,
        model_type = model.kind,
        engine = model.engine,
        prompt_tokens = Empty,
        completion_tokens = Empty,
        status = Empty
    );
    finish(&span, inside);
}

/// The same inference with a label of the `GenAI` conventions that is recorded at the end.
#[inline]
pub(crate) fn inference_with_late_label(model: &Model) {
    let span = info_span!(
        "inference",
        model_id = model.id,
        model_type = model.kind,
        engine = model.engine,
        prompt_tokens = Empty,
        completion_tokens = Empty,
        status = Empty,
        gen_ai.response.model = Empty
    );
    finish(&span, || {
        span.record("gen_ai.response.model", model.id);
    });
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "each variant has its own copy, as an application would"
)]
fn finish(span: &Span, inside: impl FnOnce()) {
    let _entered = span.enter();
    span.record("prompt_tokens", PROMPT_TOKENS);
    span.record("completion_tokens", COMPLETION_TOKENS);
    span.record("status", "success");
    inside();
}

/// A measured operation, called with the number of its turn, and periodic work.
pub(crate) struct Operation {
    pub(crate) run: Box<dyn Fn(usize) + Send + Sync>,
    /// Called between measurements, for the upkeep of a peer.
    pub(crate) drain: Box<dyn Fn() + Send + Sync>,
}

impl Operation {
    pub(crate) fn new(run: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self {
            run: Box::new(run),
            drain: Box::new(|| ()),
        }
    }

    pub(crate) fn with_drain(mut self, drain: impl Fn() + Send + Sync + 'static) -> Self {
        self.drain = Box::new(drain);
        self
    }

    /// Runs turns that are not measured, and a drain.
    #[inline(never)]
    pub(crate) fn warm_up(&self, turns: usize) {
        for turn in 0..turns {
            (self.run)(black_box(turn));
        }
        (self.drain)();
        black_box(());
    }
}

/// The measured loop, which callgrind finds by its name. With `step` 0, every turn has one label set.
#[inline(never)]
pub(crate) fn measured_loop(operation: &Operation, turns: usize, step: usize) {
    for turn in 0..turns {
        (operation.run)(black_box(turn * step));
    }
    black_box(turns);
}
