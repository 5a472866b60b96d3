//! A collector that accepts everything, so that sampled spans are exported completely, off the application's threads.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The time limit for the arrival of a batch.
const BATCH_TIMEOUT: Duration = Duration::from_mins(1);

/// Counts the batches that arrive.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) url: String,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Self {
            url: format!("http://{}", listener.local_addr()?),
            taken: Arc::default(),
        };
        let taken = Arc::clone(&sink.taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = Arc::clone(&taken);
                // The client reopens a broken connection.
                thread::spawn(move || serve(&stream, &taken).ok());
            }
        });
        Ok(sink)
    }

    /// Waits until this number of batches has arrived.
    pub(super) fn wait_for(&self, batches: usize) {
        let begin = Instant::now();
        while self.taken.load(Ordering::Acquire) < batches {
            assert!(begin.elapsed() < BATCH_TIMEOUT, "a batch did not come");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn serve(stream: &TcpStream, taken: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        (&*stream).write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
        )?;
        taken.fetch_add(1, Ordering::Release);
    }
}
