//! Records values that the application computes: the quality and similarity of answers, the size of a cache.

use tracing::info;

use crate::observation::Model;

/// Sets the quality of a model's answers: a score from 0 to 1. Other values are dropped and counted.
pub fn model_quality(model: Model<'_>, score: f64) {
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    info!(name: "model_quality", model_id, model_type, engine, score);
}

/// Records the similarity of the answers of two models: a value from 0 to 1. Other values are dropped and counted.
pub fn response_similarity(model: Model<'_>, comparison_model: &str, similarity: f64) {
    let Model {
        model_id,
        model_type,
        engine,
    } = model;
    info!(name: "response_similarity", model_id, model_type, engine, comparison_model, similarity);
}

/// Sets the size of a cache, in bytes.
pub fn cache_size(cache_type: &str, bytes: u64) {
    info!(name: "cache_size", cache_type, bytes);
}
