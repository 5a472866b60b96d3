//! The observatory's own HTTP server, on a thread of its own: `/metrics`, `/health`, `/status`, the API, the dashboard.

#[cfg(feature = "alerting")]
mod actions;
#[cfg(feature = "alerting")]
mod api;
mod body;
mod connections;
mod dashboard;
mod endpoints;
mod error;
#[cfg(feature = "health")]
mod health;
#[cfg(not(feature = "health"))]
#[path = "health_without.rs"]
mod health;
mod hosts;
mod metrics;
#[cfg(feature = "http")]
mod mount;
mod negotiate;
mod options;
mod places;
mod profiles;
mod refusal;
#[cfg(feature = "alerting")]
mod runbooks;
mod sources;
mod stream;
#[cfg(feature = "health")]
mod tasks;
#[cfg(any(feature = "alerting", feature = "http"))]
mod token;
#[cfg(feature = "otlp")]
mod traces;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, http::Request};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
};

#[cfg(feature = "http")]
pub(crate) use self::endpoints::{STATUS, mounted, mounted_essentials};
#[cfg(feature = "http")]
pub use self::mount::EndpointAccess;
pub use self::options::ServerConfig;
#[cfg(feature = "otlp")]
pub(crate) use self::sources::TraceOptions;
use self::{body::AnswerBody, connections::Connections, stream::WatchedStream};
pub(crate) use self::{
    error::ServerError,
    hosts::AllowedHosts,
    sources::{ServerOptions, Sources},
};
use crate::runtime::own_thread::{self, Joinable};

/// The name of the thread; Linux shows fifteen characters of it.
const THREAD_NAME: &str = "obs-serve";
/// The maximum number of blocking threads, each for one of the [`places`].
const MAX_BLOCKING_THREADS: usize = places::MAX_PLACES;
/// The maximum number of connections that wait until they are accepted.
const MAX_BACKLOG: u32 = 1024;
/// The size of the system's buffer for the answers of a connection.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;
/// The maximum size of the head of a request, and of the part of an answer between the server and the socket.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// The interval at which the thread reports its own CPU time.
const CPU_INTERVAL: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    thread: Joinable,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Stops listening, and waits until `deadline` for responses in progress.
    pub(crate) fn stop(self, deadline: Instant) {
        // The thread may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join(deadline);
    }
}

/// Starts the server. The address is bound before this function returns, so that a port in use is reported as an error.
pub(crate) fn start(sources: Sources) -> Result<Running, ServerError> {
    let address = sources.options.listen;
    let listen_error = |source| ServerError::Listen { address, source };
    let (stop, is_stopped) = oneshot::channel();
    let thread_error = |source| ServerError::Thread {
        name: THREAD_NAME,
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("obs-render")
        .on_thread_start(own_thread::mark)
        .build()
        .map_err(thread_error)?;
    let listener = {
        let _runtime = runtime.enter();
        listen(address).map_err(listen_error)?
    };
    let address = listener.local_addr().map_err(listen_error)?;
    let thread = Joinable::spawn(THREAD_NAME, move || {
        runtime.block_on(serve(listener, sources, address, is_stopped));
        // A client that reads slowly must not delay the shutdown.
        runtime.shutdown_background();
    })
    .map_err(thread_error)?;
    Ok(Running {
        address,
        thread,
        stop,
    })
}

/// Binds the address, with a queue that holds the connections of a burst.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // A restart finds connections of the previous process. On Windows, the option means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit the size. The system's limit of some megabytes would hold a hundred answers to a
    // client that sends requests without reading.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(MAX_BACKLOG)
}

async fn serve(
    listener: TcpListener,
    sources: Sources,
    address: SocketAddr,
    is_stopped: oneshot::Receiver<()>,
) {
    let sources = Arc::new(sources);
    let grace = sources.options.shutdown_grace.min(Duration::from_secs(1));
    let graceful = GracefulShutdown::new();
    let accepting = accept(&listener, &sources, address, &graceful);
    let counting = async {
        let mut interval = tokio::time::interval(CPU_INTERVAL);
        loop {
            interval.tick().await;
            crate::system::account_own_cpu(&sources.gatherer.registry);
        }
    };
    tokio::select! {
        // The sender sent the signal or was dropped; both mean shutdown.
        _ = is_stopped => {}
        () = accepting => {}
        () = counting => {}
    }
    drop(listener);
    // Responses in progress get the grace period; a client that does not read must not delay the shutdown further.
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    sources: &Arc<Sources>,
    address: SocketAddr,
    graceful: &GracefulShutdown,
) {
    let options = &sources.options;
    let registry = sources.gatherer.registry.clone();
    let connections = Arc::new(Connections::new(options.max_connections, registry));
    let router = endpoints::router(Arc::clone(sources), address);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.read_timeout)
        .max_buf_size(MAX_BUFFER_BYTES);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For example, the process has no file descriptors left; the condition may pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        serve_connection(stream, &connections, (&http, &router, options), graceful).await;
        // Lets the connection read its request before the next connection may take its place.
        tokio::task::yield_now().await;
    }
}

/// Waits for a place among the connections, and serves the connection on a task of its own.
async fn serve_connection(
    stream: tokio::net::TcpStream,
    connections: &Arc<Connections>,
    (http, router, options): (&http1::Builder, &Router, &ServerOptions),
    graceful: &GracefulShutdown,
) {
    let connection = connections.open().await;
    let connections = Arc::clone(connections);
    let stream = WatchedStream::new(
        stream,
        Arc::clone(&connection),
        Arc::clone(&connections),
        options.write_timeout,
    );
    let endpoints = TowerToHyperService::new(router.clone());
    let parts = (Arc::clone(&connection), Arc::clone(&connections));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (connection, connections) = parts.clone();
        if request.body().is_end_stream() {
            connection.begin_answer();
        }
        request.extensions_mut().insert(Arc::clone(&connection));
        let answer = endpoints.call(request);
        async move {
            let answer = answer.await;
            answer.map(|answer| answer.map(|body| AnswerBody::new(body, connection, connections)))
        }
    });
    let served = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        // Errors of a connection concern only its client.
        let ended = tokio::select! {
            ended = served => ended,
            () = connection.closed() => Ok(()),
        };
        connections.remove(&connection, ended);
    });
}
