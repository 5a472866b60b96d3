//! Checks the cells of the registry and the table of open spans under every interleaving and every reordering that the
//! memory model allows.
//!
//! `build.rs` copies the files from `src/`, with smaller tables, and with loom's atomics in place of those of `std`. The
//! modules that they need beside them are stubs.
//!
//! ```text
//! cargo run --release --manifest-path model/Cargo.toml                          every interleaving (loom)
//! cargo run --release --manifest-path model/Cargo.toml --no-default-features    threads of the system, repeated
//! ```

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the models use a part of each file"
)]

#[cfg(feature = "loom")]
mod once_lock;
#[cfg(feature = "loom")]
#[path = "explore.rs"]
mod run;
#[cfg(not(feature = "loom"))]
#[path = "repeat.rs"]
mod run;

mod layer;
mod metrics_registry;
#[path = "../../src/observation/mod.rs"]
mod observation;
mod runtime;

pub use observation::*;

fn main() {
    metrics_registry::model::run();
    layer::model::run();
}
