//! Answers `/metrics`. The response is rendered on a blocking thread and sent in chunks while it is rendered.
//!
//! Each chunk waits until the client has read the previous ones, so a large registry is never one string in memory. A
//! client that does not read occupies one thread until the time limit of the scrape.

use std::{
    io::{self, Write as _},
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc,
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
    sync::{Semaphore, mpsc},
    time::{Instant, timeout_at},
};

use super::{Sources, negotiate};
use crate::metrics::{
    Format, Gatherer,
    exposition::{self, Chunks},
};

/// The maximum number of chunks between the renderer and the client.
const MAX_CHUNKS_IN_FLIGHT: usize = 2;
/// The time limit of a whole scrape. Prometheus itself gives up after 10 s by default.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of scrapes that are answered or wait for a thread.
const MAX_CONCURRENT_SCRAPES: usize = 16;

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
    permits: Arc<Semaphore>,
}

impl Default for ScrapeLimit {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_SCRAPES)),
        }
    }
}

impl ScrapeLimit {
    /// Answers a scrape. `wanted` is the value of `?format=`.
    pub(super) fn answer(
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
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many concurrent scrapes; try again later\n",
            )
                .into_response();
        };
        let is_gzip = negotiate::accepts_gzip(header(header::ACCEPT_ENCODING));
        let (send, chunks) = mpsc::channel(MAX_CHUNKS_IN_FLIGHT);
        let is_complete = Arc::new(AtomicBool::new(false));
        let received = ChunkStream {
            chunks,
            is_complete: Arc::clone(&is_complete),
        };
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + SCRAPE_TIMEOUT;
            let forward = |bytes| {
                let delivered =
                    runtime.block_on(async { timeout_at(deadline, send.send(bytes)).await });
                if matches!(delivered, Ok(Ok(()))) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let is_sent =
                render(&sources.gatherer, format, Encoder::new(is_gzip), forward).is_continue();
            is_complete.store(is_sent, Ordering::Release);
            crate::system::account_own_cpu(&sources.gatherer.registry);
            drop(permit);
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
