//! Sends any request to the HTTP API: no panic, and no answer with status 500.
//!
//! The input is `METHOD PATH`, header lines, an empty line and a body.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use libfuzzer_sys::fuzz_target;
use llm_observatory::{Config, Observatory, ObservatoryLayer};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tracing_subscriber::Registry;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .max_blocking_threads(2)
        .build()
        .unwrap()
});

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let mut config = Config::default().with_auto_start(false);
    config.query.timeout = Duration::from_millis(200);
    config.query.max_samples = 20_000;
    let built = Observatory::builder(config).build();
    let (layer, observatory): (ObservatoryLayer<Registry>, Observatory) = built.unwrap();
    std::mem::forget(layer);
    observatory.router()
});

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = split(data) else {
        return;
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut lines = head.lines();
    let Some((method, path)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return;
    };
    // A channel test waits for its receiver.
    if path.contains("/channels/") {
        return;
    }
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Body::from(body.to_owned())) else {
        return;
    };
    RUNTIME.block_on(async {
        let answer = ROUTER.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
            .await
            .unwrap();
        assert_ne!(status, 500, "{head:?}: {}", String::from_utf8_lossy(&body));
    });
});

fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.windows(2).position(|pair| pair == b"\n\n")?;
    Some((&data[..end], &data[end + 2..]))
}
