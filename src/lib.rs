//! Annotate once with `#[instrument]`; get correct metrics for services that route or serve LLM inference.

pub mod query;
