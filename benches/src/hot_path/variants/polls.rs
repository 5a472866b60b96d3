//! A streamed request: 64 polls inside three nested spans, each of which every poll enters and exits.

use llm_observatory::Config;
use opentelemetry_sdk::trace::Sampler;
use tracing::{field::Empty, info_span};

use super::traces::{
    DiscardExporter, batches_of, install, install_journal, install_live, install_ours,
    install_theirs, install_watched,
};
use crate::hot_path::{
    instructions::PIECE,
    workload::{COMPLETION_TOKENS, Operation, PROMPT_TOKENS, model_of},
};

const POLLS: usize = 64;
/// The spans of one piece of turns.
const BATCH: usize = 3 * PIECE;

fn request(turn: usize) {
    let model = model_of(turn);
    let request = info_span!(
        "http_request",
        otel.kind = "server",
        http.request.method = "POST",
        http.route = "/v1/chat/completions",
        turn,
    );
    let chat = request.in_scope(|| info_span!("chat", tenant = "acme"));
    let inference = chat.in_scope(|| {
        info_span!(
            "inference",
            model_id = model.id,
            model_type = model.kind,
            engine = model.engine,
            prompt_tokens = Empty,
            completion_tokens = Empty,
            status = Empty
        )
    });
    for _ in 0..POLLS {
        request.in_scope(|| chat.in_scope(|| inference.in_scope(|| ())));
    }
    inference.record("prompt_tokens", PROMPT_TOKENS);
    inference.record("completion_tokens", COMPLETION_TOKENS);
    inference.record("status", "success");
}

pub(super) fn metrics() -> Operation {
    let observatory = install(Config::default());
    Operation::new(request).with_drain(move || {
        let _ = &observatory;
    })
}

pub(super) fn watchdog() -> Operation {
    let observatory = install_watched();
    Operation::new(request).with_drain(move || {
        let _ = &observatory;
    })
}

pub(super) fn journal() -> Operation {
    let observatory = install_journal();
    Operation::new(request).with_drain(move || {
        let _ = &observatory;
    })
}

pub(super) fn sampled_out() -> Operation {
    let keep = install_ours(0.0, batches_of(BATCH));
    Operation::new(request).with_drain(keep)
}

pub(super) fn live() -> Operation {
    let keep = install_live(batches_of(BATCH));
    Operation::new(request).with_drain(keep)
}

pub(super) fn sampled_in() -> Operation {
    let keep = install_ours(1.0, batches_of(BATCH));
    Operation::new(request).with_drain(keep)
}

pub(super) fn theirs_out() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOff, DiscardExporter, BATCH);
    Operation::new(request).with_drain(keep)
}

pub(super) fn theirs_in() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOn, DiscardExporter, BATCH);
    Operation::new(request).with_drain(keep)
}
