//! Runs a model many times on threads of the system.

pub use std::{
    sync::{Arc, atomic::AtomicU64},
    thread,
};

const TURNS: u64 = 2_000;

pub fn check(name: &str, model: impl Fn() + Sync + Send + 'static) {
    (0..TURNS).for_each(|_| model());
    println!("{name}: {TURNS} executions");
}
