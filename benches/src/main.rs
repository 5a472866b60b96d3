//! Benchmarks beside the peers they are compared with.
fn main() {}
