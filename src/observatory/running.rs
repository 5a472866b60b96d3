//! The threads of an observatory that runs: begun together, ended together.

use std::{sync::Arc, time::Instant};

use super::{
    Core, StartError,
    work::{self, Work},
};
#[cfg(feature = "alerting")]
use crate::alerting::Notifying;

/// The threads, as far as they have begun.
#[derive(Default)]
pub(super) struct Running {
    #[cfg(feature = "server")]
    server: Option<crate::server::Running>,
    work: Option<Work>,
    #[cfg(feature = "alerting")]
    notifying: Option<Notifying>,
    #[cfg(feature = "otlp")]
    has_traces: bool,
    #[cfg(feature = "otlp")]
    pushing: Option<super::push::Pushing>,
}

impl Running {
    /// Begins all of them; what cannot is an error, and nothing runs then.
    pub(super) fn begin(core: &Arc<Core>) -> Result<Self, StartError> {
        let mut running = Self::default();
        match running.begin_each(core) {
            Ok(()) => Ok(running),
            Err(error) => {
                running.end(core);
                Err(error)
            }
        }
    }

    /// What can be refused from outside, the address, comes first.
    fn begin_each(&mut self, core: &Arc<Core>) -> Result<(), StartError> {
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
            // Whichever of its threads cannot be had, the others are stopped.
            self.has_traces = true;
            traces.start().map_err(thread("obs-traces"))?;
        }
        #[cfg(feature = "otlp")]
        {
            let pushing = super::push::Pushing::start(core);
            self.pushing = pushing.map_err(thread(super::push::NAME))?;
        }
        self.work = Some(Work::start(core).map_err(thread(work::NAME))?);
        Ok(())
    }

    /// Where the server listens.
    #[cfg(feature = "server")]
    pub(super) fn listen(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(|server| server.address)
    }

    /// Ends those that have begun, within the configured time.
    pub(super) fn end(self, core: &Core) {
        let deadline = Instant::now() + core.config.shutdown_timeout;
        if let Some(work) = &self.work {
            work.end();
        }
        // Before anybody is waited for: a client that does not read must not cost the last spans.
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
        if let Some(work) = self.work {
            work.join(deadline);
        }
        // When the others count no more, so that the last push says all.
        #[cfg(feature = "otlp")]
        if let Some(pushing) = self.pushing {
            // A moment for it in any case: it is that exporters hang which it has to tell.
            let moment = Instant::now() + std::time::Duration::from_millis(250);
            pushing.stop(deadline.max(moment));
        }
        // Last: what the others have decided is sent, or kept.
        #[cfg(feature = "alerting")]
        if let Some(notifying) = self.notifying {
            // A moment for it, too, however long a receiver of traces took.
            let moment = Instant::now() + std::time::Duration::from_millis(250);
            notifying.stop(deadline.max(moment));
        }
    }
}
