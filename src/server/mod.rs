//! The observatory's own HTTP server: `/metrics`, `/health`, `/status`, on a thread of its own.

mod endpoints;
mod metrics;
mod negotiate;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    observatory::{Core, StartError, join},
    own_thread,
    system::Own,
};

/// Its name; Linux shows fifteen characters of it.
const NAME: &str = "obs-serve";
/// Threads that render large registries, at most.
const RENDERERS: usize = 4;
/// Time between two looks at the thread's own CPU time.
const CPU_INTERVAL: Duration = Duration::from_secs(5);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Stops listening, lets answers under way finish, until `deadline`.
    pub(crate) fn stop(self, deadline: Instant) {
        // The thread may have ended by itself.
        let _ = self.stop.send(());
        join(self.thread, deadline);
    }
}

/// Starts the server. The address is bound before this returns, so that a taken port is an error here.
pub(crate) fn start(core: &Arc<Core>) -> Result<Running, StartError> {
    let address = core.config.prometheus.listen;
    let listen_error = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen_error)?;
    listener.set_nonblocking(true).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let (stop, is_stopped) = oneshot::channel();
    let thread_error = |source| StartError::Thread { name: NAME, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(RENDERERS)
        .thread_name("obs-render")
        .on_thread_start(own_thread::mark)
        .build()
        .map_err(thread_error)?;
    let core = Arc::clone(core);
    let thread = std::thread::Builder::new()
        .name(NAME.to_owned())
        .spawn(move || {
            own_thread::mark();
            runtime.block_on(serve(listener, core, is_stopped));
            // A client that reads slowly must not hold the end up.
            runtime.shutdown_background();
        })
        .map_err(thread_error)?;
    Ok(Running {
        address,
        thread,
        stop,
    })
}

async fn serve(listener: TcpListener, core: Arc<Core>, is_stopped: oneshot::Receiver<()>) {
    let timeout = core.config.shutdown_timeout;
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::error!(target: "llm_observatory", %error, "the server cannot listen");
        }
    };
    let (begin_stop, stop_begun) = oneshot::channel::<()>();
    let server = axum::serve(listener, endpoints::router(Arc::clone(&core)))
        .with_graceful_shutdown(async {
            // Either is an end.
            let _ = stop_begun.await;
        });
    let stopping = async {
        let _ = is_stopped.await;
        let _ = begin_stop.send(());
        // Keep-alive connections may stay open for long.
        tokio::time::sleep(timeout.min(Duration::from_secs(1))).await;
    };
    let counting = async {
        let mut interval = tokio::time::interval(CPU_INTERVAL);
        loop {
            interval.tick().await;
            core.own_cpu.update(Own::Serve, &core.registry);
        }
    };
    tokio::select! {
        ended = server => if let Err(error) = ended {
            tracing::error!(target: "llm_observatory", %error, "the server ended");
        },
        () = stopping => {}
        () = counting => {}
    }
}
