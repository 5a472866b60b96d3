//! Builds the values that the server answers from, and starts the server.

use std::{net::SocketAddr, sync::Arc};

use super::{Core, StartError};
#[cfg(feature = "otlp")]
use crate::server::TraceOptions;
use crate::server::{self, AllowedHosts, ServerError, ServerOptions, Sources};

/// The size of the body of a request beside its query.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Starts the server of an observatory.
pub(super) fn start_server(core: &Arc<Core>) -> Result<server::Running, StartError> {
    server::start(sources(core)).map_err(|error| match error {
        ServerError::Listen { address, source } => StartError::Listen { address, source },
        ServerError::Thread { name, source } => StartError::Thread { name, source },
    })
}

/// The values that a server of an observatory answers from.
pub(super) fn sources(core: &Arc<Core>) -> Sources {
    let config = &core.config;
    #[cfg(feature = "alerting")]
    let external_url = config.alerting.external_url.as_deref();
    #[cfg(not(feature = "alerting"))]
    let external_url = None;
    let options = ServerOptions {
        listen: config.prometheus.listen,
        metrics_path: config.prometheus.endpoint.clone(),
        health_path: config.health.endpoint.clone(),
        #[cfg(feature = "health")]
        shows_health_details: config.health.details == crate::health::HealthDetails::Always,
        shutdown_grace: config.shutdown_timeout,
        hosts: AllowedHosts::new(&config.server.allowed_hosts, external_url),
        max_connections: config.server.max_connections,
        // The characters of a query may have three bytes each in a form.
        max_body_bytes: 3 * config.query.max_query_bytes + MAX_BODY_BYTES,
        read_timeout: config.server.read_timeout,
        write_timeout: config.server.write_timeout,
        #[cfg(feature = "alerting")]
        query_timeout: config.query.timeout,
        #[cfg(feature = "alerting")]
        api_token: config.alerting.api_token.clone(),
        #[cfg(all(feature = "alerting", feature = "otlp"))]
        trace_url: config.alerting.trace_url.clone(),
        #[cfg(feature = "otlp")]
        traces: TraceOptions {
            is_enabled: config.traces.enabled,
            sampling_ratio: config.traces.sampling.ratio,
        },
    };
    #[cfg(feature = "health")]
    let watchdog = core.watchdog.clone();
    let status_core = Arc::clone(core);
    #[cfg(feature = "otlp")]
    let traces_core = Arc::clone(core);
    Sources {
        options,
        service: config.service.name.clone(),
        environment: config.service.environment.clone(),
        tick: config.tick,
        gatherer: Arc::clone(&core.gatherer),
        #[cfg(feature = "health")]
        health: core.health.clone(),
        status: Box::new(move |address| status_json(&status_core, address)),
        #[cfg(feature = "alerting")]
        budget: Arc::clone(&core.queries.budget),
        #[cfg(not(feature = "alerting"))]
        budget: crate::metrics::QueryBudget::new(config.query.max_memory),
        #[cfg(feature = "alerting")]
        queries: Arc::clone(&core.queries),
        #[cfg(feature = "alerting")]
        alerts: crate::alerting::Alerts::new(&core.alerting),
        #[cfg(feature = "health")]
        tasks: Box::new(move |limit| watchdog.tasks_json(limit)),
        profiler: core.profiler.clone(),
        #[cfg(feature = "otlp")]
        live_traces: Box::new(move || traces_core.live_traces()),
    }
}

fn status_json(core: &Core, address: Option<SocketAddr>) -> String {
    #[cfg_attr(
        not(feature = "health"),
        expect(unused_mut, reason = "only health has details")
    )]
    let mut status = core.status(true, address);
    #[cfg(feature = "health")]
    if core.config.health.details == crate::health::HealthDetails::Authenticated {
        status.health.hide_details();
    }
    // The status consists of strings, numbers and maps of them, which always serialise.
    serde_json::to_string_pretty(&status).unwrap_or_default() + "\n"
}
