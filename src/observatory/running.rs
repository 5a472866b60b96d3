//! Starts and stops the threads of an observatory together.

use std::{sync::Arc, time::Instant};

use super::{
    Core, StartError,
    work::{self, Work},
};
#[cfg(feature = "alerting")]
use crate::alerting::Notifying;

/// The threads that have been started.
#[derive(Default)]
pub(super) struct Running {
    #[cfg(feature = "server")]
    server: Option<crate::server::Running>,
    work: Option<Work>,
    #[cfg(feature = "health")]
    watchdog: Option<crate::health::WatchdogThread>,
    #[cfg(feature = "health")]
    has_health: bool,
    #[cfg(feature = "alerting")]
    notifying: Option<Notifying>,
    #[cfg(feature = "otlp")]
    has_traces: bool,
    #[cfg(feature = "otlp")]
    push_thread: Option<super::push::PushThread>,
}

impl Running {
    /// Starts all threads. If a thread cannot be started, those already started are stopped.
    pub(super) fn start(core: &Arc<Core>) -> Result<Self, StartError> {
        let mut running = Self::default();
        match running.start_each(core) {
            Ok(()) => Ok(running),
            Err(error) => {
                running.stop(core);
                Err(error)
            }
        }
    }

    /// Starts the threads one by one. The server comes first, since its address may be in use.
    fn start_each(&mut self, core: &Arc<Core>) -> Result<(), StartError> {
        let thread = |name| move |source| StartError::Thread { name, source };
        #[cfg(feature = "server")]
        if core.config.prometheus.enabled {
            self.server = Some(super::sources::start_server(core)?);
        }
        #[cfg(feature = "alerting")]
        {
            let notifying = core.alerting.start();
            self.notifying = notifying.map_err(thread(Notifying::NAME))?;
        }
        #[cfg(feature = "otlp")]
        if let Some(traces) = &core.traces {
            // Set before the start, so that an error stops the threads that have already been started.
            self.has_traces = true;
            traces.start().map_err(thread("obs-traces"))?;
        }
        #[cfg(feature = "otlp")]
        {
            let push_thread = super::push::PushThread::start(core);
            self.push_thread = push_thread.map_err(thread(super::push::NAME))?;
        }
        #[cfg(feature = "health")]
        {
            use crate::health::WatchdogThread;
            self.has_health = true;
            let health = core.health.start();
            health.map_err(thread(crate::health::THREAD_NAME))?;
            // On the caller's thread, whose runtime is the application's.
            core.watchdog.runtimes().add_current();
            let watchdog = WatchdogThread::start(&core.watchdog);
            self.watchdog = watchdog.map_err(thread(WatchdogThread::NAME))?;
        }
        self.work = Some(Work::start(core).map_err(thread(work::NAME))?);
        Ok(())
    }

    /// Returns the address of the server.
    #[cfg(feature = "server")]
    pub(super) fn listen(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(|server| server.address)
    }

    /// Stops the threads, within the configured time.
    pub(super) fn stop(self, core: &Core) {
        let deadline = Instant::now() + core.config.shutdown_timeout;
        #[cfg(feature = "health")]
        if self.has_health {
            core.health.announce_end(deadline);
        }
        if let Some(work) = &self.work {
            work.end();
        }
        // The pipeline learns the deadline before this thread waits for the server, so that a client that does not read
        // does not cost the last spans.
        #[cfg(feature = "otlp")]
        if let (true, Some(traces)) = (self.has_traces, &core.traces) {
            traces.announce_end(deadline);
        }
        #[cfg(feature = "server")]
        if let Some(server) = self.server {
            server.stop(deadline);
        }
        #[cfg(feature = "otlp")]
        if let (true, Some(traces)) = (self.has_traces, &core.traces) {
            traces.stop(deadline);
        }
        #[cfg(feature = "health")]
        if self.has_health {
            core.health.stop(deadline);
        }
        if let Some(work) = self.work {
            work.join(deadline);
        }
        #[cfg(feature = "health")]
        if let Some(watchdog) = self.watchdog {
            watchdog.stop(deadline);
        }
        // After the other threads have stopped counting, so that the last push is complete.
        #[cfg(feature = "otlp")]
        if let Some(push_thread) = self.push_thread {
            // The push gets at least this time, since it reports exporters that hang until the deadline.
            let min_deadline = Instant::now() + std::time::Duration::from_millis(250);
            push_thread.stop(deadline.max(min_deadline));
        }
        // Last: sends or stores the notifications that the other threads have produced.
        #[cfg(feature = "alerting")]
        if let Some(notifying) = self.notifying {
            // The notifications get at least this time, too, however long the exporters of traces took.
            let min_deadline = Instant::now() + std::time::Duration::from_millis(250);
            notifying.stop(deadline.max(min_deadline));
        }
    }
}
