//! Pushes every series to a Collector, at an interval and at shutdown.
//!
//! The push runs on a current-thread runtime on its own thread, so that a Collector that hangs delays nothing else.
//! Series are cumulative: the next push makes up for a failed push, so nothing is queued.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Core;
use crate::{
    metrics::{
        catalog,
        exposition::protobuf,
        registry::{Counter, Series},
    },
    runtime::{
        own_thread::{Executor, ShutdownDeadline},
        report_once::ReportOnce,
    },
    traces::{
        Deadline, Encoded, ExportError, MIN_WARNING_INTERVAL, PushConfig, Sent, Signal,
        TracesError, Transport, deliver_parts, say, unharmed,
    },
};

/// The name of the thread; Linux shows fifteen characters of it.
pub(super) const NAME: &str = "obs-push";

/// The push, before its thread is started.
pub(super) struct Pusher(Transport);

/// The thread of the push.
pub(super) struct PushThread(Executor);

impl Pusher {
    /// Returns `None` if the push is disabled.
    pub(super) fn new(config: &PushConfig) -> Result<Option<Self>, TracesError> {
        config
            .enabled
            .then(|| Transport::new(&config.otlp, Signal::Metrics).map(Self))
            .transpose()
    }
}

impl PushThread {
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Option<Self>> {
        if core.pusher.is_none() {
            return Ok(None);
        }
        let core = Arc::clone(core);
        let executor = Executor::start(NAME, 1, |end| async move {
            run(&core, end).await;
        })?;
        Ok(Some(Self(executor)))
    }

    /// Sends the last push, until `deadline`.
    pub(super) fn stop(self, deadline: Instant) {
        // The extra time is for counting the push.
        self.0.stop(deadline, Duration::from_millis(100));
    }
}

async fn run(core: &Core, end: ShutdownDeadline) {
    let Some(Pusher(transport)) = &core.pusher else {
        return;
    };
    let results = PushResults::new(core);
    let mut warnings = ReportOnce::new(MIN_WARNING_INTERVAL);
    let mut deadline = Deadline::new(end);
    let config = &core.config.push;
    let mut pause = config.interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = deadline.signalled() => {}
        }
        let is_last = deadline.is_shutting_down();
        deadline.begin(config.time_of_one());
        let mut sent = Sent::default();
        let pushed = unharmed(push(core, transport, &mut deadline, &mut sent)).await;
        let error = pushed.err().or(sent.error);
        results.count(sent.rejected, error.as_ref());
        let retry_after = error.as_ref().and_then(ExportError::pause);
        pause = retry_after.map_or(config.interval, |retry_after| {
            retry_after.max(config.interval)
        });
        let has_problem = error.is_some() || sent.rejected > 0;
        if has_problem && warnings.is_due((), "", Instant::now()) {
            let address = transport.address();
            say(|| match error {
                None => {
                    tracing::warn!(target: "llm_observatory", %address, points = sent.rejected, "points of metrics were refused by their receiver");
                }
                Some(error) => {
                    tracing::warn!(target: "llm_observatory", %address, %error, "metrics could not be pushed");
                }
            });
        }
        if is_last {
            return;
        }
    }
}

async fn push(core: &Core, transport: &Transport, deadline: &mut Deadline, sent: &mut Sent) {
    let parts = transport.parts(protobuf::request(
        &core.gatherer.registry,
        &core.gatherer.gather(),
    ));
    let attempt = |encoded: Encoded| async move { transport.send(&encoded).await };
    deliver_parts(parts, attempt, deadline, sent).await;
}

/// Counters of the pushes by result.
struct PushResults {
    success: Arc<Series<Counter>>,
    partial: Arc<Series<Counter>>,
    failure: Arc<Series<Counter>>,
}

impl PushResults {
    fn new(core: &Core) -> Self {
        let of = |result| {
            core.gatherer
                .registry
                .counter(&catalog::PUSHES, &[("result", result)])
        };
        Self {
            success: of("success"),
            partial: of("partial"),
            failure: of("failure"),
        }
    }

    fn count(&self, refused: usize, error: Option<&ExportError>) {
        match (refused, error) {
            (0, None) => &self.success,
            (_, None) => &self.partial,
            (_, Some(_)) => &self.failure,
        }
        .add(1);
    }
}
