//! Profiles of this process: their shares, their formats, and the errors of requests. The timer of a process serves one
//! profile, so the tests run one after the other.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test"
)]

mod hot;
mod requests;
mod spans;

use std::sync::{Mutex, MutexGuard, PoisonError};

use llm_observatory::{Config, Observatory};
use tracing_subscriber::layer::SubscriberExt as _;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An observatory whose server listens on a free port of loopback.
fn observatory(change: impl FnOnce(&mut Config)) -> Observatory {
    observed(change).1
}

/// The same, with a subscriber for the threads of a test.
fn observed(change: impl FnOnce(&mut Config)) -> (tracing::Dispatch, Observatory) {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let mut config = Config::default().with_listen(listen);
    config.traces.enabled = false;
    config.profiler.frequency_hz = 997;
    change(&mut config);
    let (layer, observatory) = Observatory::builder(config)
        .build::<tracing_subscriber::Registry>()
        .expect("an observatory");
    (
        tracing_subscriber::registry().with(layer).into(),
        observatory,
    )
}

/// Sends a request, and returns the status and the body.
fn get(observatory: &Observatory, path: &str) -> (u16, Vec<u8>) {
    let address = observatory.listen_address().expect("a server");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.bytes().await.expect("a body").to_vec())
    })
}

fn get_text(observatory: &Observatory, path: &str) -> (u16, String) {
    let (status, body) = get(observatory, path);
    (status, String::from_utf8(body).expect("text"))
}
