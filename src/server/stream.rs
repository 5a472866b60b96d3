//! A connection's socket that notes progress, and fails if the client does not take its answer in time.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

use super::connections::{Closed, Connection, Connections, count_closed};

/// The bytes that a client must take within the write timeout: a client that takes a byte now and then makes no progress.
const MIN_PROGRESS_BYTES: usize = 256 * 1024;

/// A connection's socket.
pub(super) struct WatchedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    write_timeout: Duration,
    /// The write that the client did not take at once, with the bytes that it has taken since.
    pending: Option<(Pin<Box<Sleep>>, usize)>,
}

impl WatchedStream {
    pub(super) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        connections: Arc<Connections>,
        write_timeout: Duration,
    ) -> Self {
        Self {
            stream,
            connection,
            connections,
            write_timeout,
            pending: None,
        }
    }

    /// Notes the result of a write, and ends the connection if the client has taken too little for too long.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.connection.set_stalled(false);
                if let Some((_, taken)) = &mut self.pending {
                    *taken += bytes;
                    if *taken >= MIN_PROGRESS_BYTES {
                        self.pending = None;
                    }
                }
            }
            Poll::Ready(Err(_)) => return result,
            Poll::Pending if self.pending.is_none() => self.connection.set_stalled(true),
            Poll::Pending => {}
        }
        if result.is_pending() {
            let timeout = self.write_timeout;
            let sleep = || (Box::pin(tokio::time::sleep(timeout)), 0);
            let (deadline, _) = self.pending.get_or_insert_with(sleep);
            ready!(deadline.as_mut().poll(context));
            count_closed(self.connections.registry(), Closed::WriteTimeout);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.connection.received();
        }
        result
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes once the client has taken all bytes so far.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pending = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
