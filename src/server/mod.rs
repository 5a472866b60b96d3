//! The observatory's own HTTP server: `/metrics`, `/health`, `/status`, on a thread of its own.

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

/// Its name; Linux shows fifteen characters of it.
const NAME: &str = "obs-serve";
/// Threads that render large registries, at most.
const RENDERERS: usize = 4;
/// Connections at once; a scraper needs one.
const CONNECTIONS: usize = 64;
/// Time that a client may take for its request's head, and between two requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// Time between two looks at the thread's own CPU time.
const CPU_INTERVAL: Duration = Duration::from_secs(5);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    thread: Joinable,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Stops listening, lets answers under way finish, until `deadline`.
    pub(crate) fn stop(self, deadline: Instant) {
        // The thread may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join(deadline);
    }
}

/// Starts the server. The address is bound before this returns, so that a taken port is an error here.
pub(crate) fn start(sources: Sources) -> Result<Running, ServerError> {
    let address = sources.options.listen;
    let listen_error = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen_error)?;
    listener.set_nonblocking(true).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let (stop, is_stopped) = oneshot::channel();
    let thread_error = |source| ServerError::Thread { name: NAME, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(RENDERERS)
        .thread_name("obs-render")
        .on_thread_start(own_thread::mark)
        .build()
        .map_err(thread_error)?;
    let thread = Joinable::spawn(NAME, move || {
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
        // Sent or dropped: either is an end.
        _ = is_stopped => {}
        () = accepting => {}
        () = counting => {}
    }
    drop(listener);
    // Answers under way finish; a client that does not read must not hold up the end.
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

async fn accept(listener: &tokio::net::TcpListener, router: Router, graceful: &GracefulShutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // A place first: what nobody has a place for waits in the system's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptors, say: that is the process's trouble, and passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.clone()),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // What goes wrong on a connection is its client's to know.
            let _ = connection.await;
            drop(place);
        });
    }
}
