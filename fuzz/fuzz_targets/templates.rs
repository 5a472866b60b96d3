//! Compiles any text as a template and executes it over a message: no panic, bounded output.

#![no_main]

use std::{
    io::{self, Write},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use libfuzzer_sys::fuzz_target;
use llm_observatory::alerting::{Console, Message, Notifier as _};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
});

/// Counts the bytes of an output.
struct Counted(Arc<AtomicUsize>);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let written = Arc::new(AtomicUsize::new(0));
    let console = Console::writer(Counted(Arc::clone(&written)));
    let Ok(console) = console.with_template(text) else {
        return;
    };
    let message = Message::test("team", 1_795_462_834_028);
    let _ = RUNTIME.block_on(console.notify(&message));
    // The console's limit is 16,384 characters of a template's text.
    let bytes = written.load(Ordering::Relaxed);
    assert!(bytes <= 5 * 16_384, "{bytes} bytes");
});
