//! Figures that someone else computes: how good answers are, how large a cache is.

use tracing::info;

use crate::observation::Model;

/// The quality of a model's answers now: a score from 0 to 1. What lies outside is counted as dropped.
pub fn model_quality(model: Model<'_>, score: f64) {
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    info!(name: "model_quality", model_id, model_type, engine, score);
}

/// How alike the answers of a model and another one were: from 0 to 1. What lies outside is counted as dropped.
pub fn response_similarity(model: Model<'_>, comparison_model: &str, similarity: f64) {
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    info!(name: "response_similarity", model_id, model_type, engine, comparison_model, similarity);
}

/// What a cache holds now, in bytes.
pub fn cache_size(cache_type: &str, bytes: u64) {
    info!(name: "cache_size", cache_type, bytes);
}
