//! The observatory's own HTTP server, on a thread of its own: `/metrics`, `/health`, `/status`, the API, the dashboard.

#[cfg(feature = "alerting")]
mod actions;
#[cfg(feature = "alerting")]
mod api;
#[cfg(feature = "otlp")]
mod dashboard;
mod endpoints;
mod error;
mod metrics;
mod negotiate;
mod sources;
#[cfg(feature = "otlp")]
mod traces;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::sync::{Semaphore, oneshot};

#[cfg(feature = "http")]
pub(crate) use self::endpoints::{mounted, mounted_essentials};
#[cfg(feature = "otlp")]
pub(crate) use self::sources::TraceOptions;
pub(crate) use self::{
    error::ServerError,
    sources::{ServerOptions, Sources},
};
use crate::runtime::own_thread::{self, Joinable};

/// The name of the thread; Linux shows fifteen characters of it.
const THREAD_NAME: &str = "obs-serve";
/// The maximum number of blocking threads, which render large registries and run queries.
const MAX_BLOCKING_THREADS: usize = 4;
/// The maximum number of concurrent connections. A scraper needs one.
const MAX_CONNECTIONS: usize = 64;
/// The time limit for the head of a request, and for the pause between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
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
    let listener = TcpListener::bind(address).map_err(listen_error)?;
    listener.set_nonblocking(true).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
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

async fn serve(
    listener: TcpListener,
    sources: Sources,
    address: SocketAddr,
    is_stopped: oneshot::Receiver<()>,
) {
    let sources = Arc::new(sources);
    let grace = sources.options.shutdown_grace.min(Duration::from_secs(1));
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::error!(target: "llm_observatory", %error, "the server cannot listen");
        }
    };
    let graceful = GracefulShutdown::new();
    let accepting = accept(
        &listener,
        endpoints::router(Arc::clone(&sources), address),
        &graceful,
    );
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

async fn accept(listener: &tokio::net::TcpListener, router: Router, graceful: &GracefulShutdown) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The permit is acquired before `accept`, so that excess connections wait in the kernel's queue.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // For example, the process has no file descriptors left; the condition may pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.clone()),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Errors of a connection concern only its client.
            let _ = connection.await;
            drop(permit);
        });
    }
}
