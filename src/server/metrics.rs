//! Answers `/metrics`. The response is rendered on a blocking thread and sent in chunks while it is rendered.
//!
//! A few chunks may wait for the client, so a large registry is never one string in memory, and the exposition of a small
//! registry occupies its thread only while it is rendered. A client that does not read a large exposition occupies a
//! thread until the time limit of the scrape, or until another scrape needs the thread.

use std::{
    io::{self, Write as _},
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use futures_core::Stream;
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};

use super::{
    Sources,
    connections::{Closed, count_closed},
    negotiate, places,
    refusal::Refusal,
};
use crate::metrics::{
    Format, Gatherer, Registry,
    exposition::{self, Chunks},
};
use crate::runtime::lock;

/// The maximum number of chunks between the renderer and the client: 256 KiB of text.
const MAX_CHUNKS_IN_FLIGHT: usize = 4;
/// The time limit of a whole scrape. Prometheus itself gives up after 10 s by default.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that a scrape may wait for a thread, as long as Prometheus by default waits for an answer.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// The time without a read after which a scrape must give its thread to another scrape.
const MIN_STALL: Duration = Duration::from_millis(50);

/// The formats that `?format=` names.
const FORMATS: [(&str, Format); 4] = [
    ("prometheus", Format::Prometheus),
    ("openmetrics", Format::OpenMetrics),
    ("json", Format::Json),
    ("opentelemetry", Format::OpenTelemetry),
];

/// Limits the number of concurrent scrapes.
#[derive(Clone)]
pub(super) struct ScrapeLimit {
    places: Arc<Semaphore>,
    stalled: Arc<Stalled>,
}

/// The scrapes that wait for their clients, the longest wait first.
#[derive(Default)]
struct Stalled(Mutex<Vec<(Instant, Arc<Notify>)>>);

impl Stalled {
    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Arc<Notify>)>> {
        lock(&self.0)
    }

    /// Ends the scrape that has waited longest, if it has waited long enough.
    fn end_longest(&self, now: Instant) {
        let stalled = self.lock();
        if let Some((since, end)) = stalled.first()
            && now.duration_since(*since) >= MIN_STALL
        {
            end.notify_one();
        }
    }
}

impl Default for ScrapeLimit {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(places::MAX_SCRAPES)),
            stalled: Arc::default(),
        }
    }
}

impl ScrapeLimit {
    /// Answers a scrape. `wanted` is the value of `?format=`.
    pub(super) async fn answer(
        &self,
        sources: Arc<Sources>,
        wanted: Option<&str>,
        headers: &HeaderMap,
    ) -> Response {
        let header = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or_default()
        };
        let format = match wanted {
            None => negotiate::format(header(header::ACCEPT)),
            Some(wanted) => match FORMATS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            {
                Some((_, format)) => *format,
                None => return unknown_format(wanted),
            },
        };
        let Some(place) = self.place().await else {
            let message = "too many concurrent scrapes; try again later";
            return Refusal::Busy.answer(&sources, message);
        };
        let is_gzip = negotiate::accepts_gzip(header(header::ACCEPT_ENCODING));
        let (send, chunks) = mpsc::channel(MAX_CHUNKS_IN_FLIGHT);
        let is_complete = Arc::new(AtomicBool::new(false));
        let received = ChunkStream {
            chunks,
            is_complete: Arc::clone(&is_complete),
        };
        let client = Client {
            send,
            runtime: Handle::current(),
            stalled: Arc::clone(&self.stalled),
            deadline: Instant::now() + SCRAPE_TIMEOUT,
        };
        tokio::task::spawn_blocking(move || {
            let registry = &sources.gatherer.registry;
            let forward = |bytes| client.forward(bytes, registry);
            let is_sent =
                render(&sources.gatherer, format, Encoder::new(is_gzip), forward).is_continue();
            is_complete.store(is_sent, Ordering::Release);
            crate::system::account_own_cpu(registry);
            drop(place);
        });
        let mut response = Body::from_stream(received).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
        if is_gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// Waits for a thread. Scrapes whose clients do not read give their threads up.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = places::wait(&self.places, MAX_WAIT);
        tokio::pin!(place);
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place,
                () = tokio::time::sleep(MIN_STALL / 2) => self.stalled.end_longest(Instant::now()),
            }
        }
    }
}

/// The client of a scrape, from the view of its renderer.
struct Client {
    send: mpsc::Sender<Bytes>,
    runtime: Handle,
    stalled: Arc<Stalled>,
    deadline: Instant,
}

impl Client {
    /// Passes a chunk on; breaks off if the client is gone, or does not read for too long.
    fn forward(&self, bytes: Bytes, registry: &Registry) -> ControlFlow<()> {
        let bytes = match self.send.try_send(bytes) {
            Ok(()) => return ControlFlow::Continue(()),
            Err(mpsc::error::TrySendError::Full(bytes)) => bytes,
            Err(mpsc::error::TrySendError::Closed(_)) => return ControlFlow::Break(()),
        };
        let end = Arc::new(Notify::new());
        self.stalled.lock().push((Instant::now(), Arc::clone(&end)));
        let sent = self.runtime.block_on(async {
            tokio::select! {
                sent = self.send.send(bytes) => Ok(sent.is_ok()),
                () = tokio::time::sleep_until(self.deadline) => Err(Closed::WriteTimeout),
                () = end.notified() => Err(Closed::ScrapeStalled),
            }
        });
        self.stalled
            .lock()
            .retain(|(_, other)| !Arc::ptr_eq(other, &end));
        match sent {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(reason) => {
                count_closed(registry, reason);
                ControlFlow::Break(())
            }
        }
    }
}

/// Renders all series; breaks off if the client stops reading.
fn render(
    gatherer: &Gatherer,
    format: Format,
    mut encoder: Encoder,
    mut send: impl FnMut(Bytes) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut take = |chunk| {
        encoder
            .encode(chunk)
            .map_or(ControlFlow::Continue(()), &mut send)
    };
    let mut out = Chunks::new(&mut take);
    exposition::write(&gatherer.registry, format, &gatherer.gather(), &mut out)?;
    out.finish()?;
    encoder.finish().map_or(ControlFlow::Continue(()), send)
}

fn unknown_format(wanted: &str) -> Response {
    let known = FORMATS.map(|(name, _)| name).join(", ");
    (
        StatusCode::BAD_REQUEST,
        format!("format is {wanted:?}, but must be one of {known}\n"),
    )
        .into_response()
}

/// Encodes chunks as plain text or gzip.
enum Encoder {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
}

/// The minimum size of a compressed chunk in bytes.
const MIN_COMPRESSED_CHUNK_BYTES: usize = 16 * 1024;

impl Encoder {
    fn new(is_gzip: bool) -> Self {
        if is_gzip {
            Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))
        } else {
            Self::Plain
        }
    }

    /// Encodes a chunk; returns the bytes to send, if enough have accumulated.
    fn encode(&mut self, chunk: String) -> Option<Bytes> {
        match self {
            Self::Plain => Some(chunk.into()),
            Self::Gzip(encoder) => {
                // Writing to a vector cannot fail.
                let _ = encoder.write_all(chunk.as_bytes());
                let ready = encoder.get_mut();
                (ready.len() >= MIN_COMPRESSED_CHUNK_BYTES).then(|| std::mem::take(ready).into())
            }
        }
    }

    fn finish(self) -> Option<Bytes> {
        match self {
            Self::Plain => None,
            Self::Gzip(encoder) => encoder.finish().ok().map(Bytes::from),
        }
    }
}

/// Streams the chunks as the body. An incomplete body ends with an error, so that the client does not take it for
/// complete.
struct ChunkStream {
    chunks: mpsc::Receiver<Bytes>,
    is_complete: Arc<AtomicBool>,
}

impl Stream for ChunkStream {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        self.chunks.poll_recv(context).map(|chunk| match chunk {
            Some(chunk) => Some(Ok(chunk)),
            None if self.is_complete.swap(true, Ordering::AcqRel) => None,
            None => Some(Err(io::Error::other("the exposition was aborted"))),
        })
    }
}
