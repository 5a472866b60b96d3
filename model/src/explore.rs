//! Runs a model under every interleaving.

pub use loom::{
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use std::sync::atomic::Ordering::Relaxed;

pub fn check(name: &str, model: impl Fn() + Sync + Send + 'static) {
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    println!("{name}: {} executions", executions.load(Relaxed));
}
