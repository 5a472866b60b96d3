//! Tests that one log line reports a filter that hides the spans of metrics. The filter is global, so this test has its
//! own process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use llm_observatory::{Config, Observatory};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

/// The output of the log layer.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn warnings(&self) -> usize {
        let log = self.0.lock().unwrap();
        String::from_utf8_lossy(&log)
            .matches("a filter of the subscriber hides INFO spans")
            .count()
    }
}

#[test]
fn a_filter_that_hides_every_kind_is_named_once() {
    let config = Config::default()
        .without_server()
        .with_tick(Duration::from_millis(100));
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let log = Log::default();
    let writer = log.clone();
    let fmt = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing_subscriber::registry()
        .with(layer)
        .with(fmt)
        .with(LevelFilter::WARN)
        .init();
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.warnings() == 0 {
        assert!(Instant::now() < deadline, "nothing was said");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(log.warnings(), 1);
    observatory.shutdown_blocking();
}
