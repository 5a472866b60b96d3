//! Checks of addresses: an HTTP URL, a TCP port, a host name.

use std::{sync::Arc, time::Duration};

use tokio::net::{TcpStream, lookup_host};

use super::{Requests, join};
use crate::health::{Check, CheckResult, HealthStatus, target::Target};

/// The time after which an address of the check `connectivity` counts as not reached.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// A way to reach an address.
#[derive(Clone)]
enum Probe {
    Http(Requests),
    Tcp(String),
    Dns(String),
    /// The address cannot be used.
    Invalid,
}

impl Probe {
    fn new(target: &Target) -> Self {
        match target {
            Target::Http(endpoint) => {
                let requests = Requests::new(&endpoint.expose(), None);
                requests.map_or(Self::Invalid, Self::Http)
            }
            Target::Tcp(address) => Self::Tcp(address.clone()),
            Target::Dns(host) => Self::Dns(host.clone()),
        }
    }

    async fn reach(self) -> CheckResult {
        match self {
            Self::Http(requests) => get(&requests).await,
            Self::Tcp(address) => match TcpStream::connect(&address).await {
                Ok(_) => CheckResult::healthy(format!("{address} accepts connections")),
                Err(error) => CheckResult::unhealthy(format!("{address}: {error}")),
            },
            Self::Dns(host) => match lookup_host((host.as_str(), 0)).await.map(Iterator::count) {
                Ok(0) => CheckResult::unhealthy(format!("{host} has no address")),
                Ok(count) => {
                    CheckResult::healthy(format!("{host} resolves")).with_data("addresses", count)
                }
                Err(error) => CheckResult::unhealthy(format!("{host}: {error}")),
            },
            Self::Invalid => CheckResult::unhealthy("the address cannot be used"),
        }
    }
}

/// Sends a GET request. A status from 200 to 399 is healthy, as for the probes of Kubernetes.
async fn get(requests: &Requests) -> CheckResult {
    match requests.client.get(&requests.uri, &requests.headers).await {
        Ok(response) => {
            let status = response.status;
            let is_healthy = (200..400).contains(&status.as_u16());
            let health = if is_healthy {
                HealthStatus::Healthy
            } else {
                HealthStatus::Unhealthy
            };
            CheckResult::new(health, format!("status {status}"))
                .with_data("status_code", status.as_u16())
        }
        Err(error) => CheckResult::unhealthy(error.to_string()),
    }
}

/// Returns the check of one address.
pub(super) fn check(target: &Target) -> Check {
    let probe = Probe::new(target);
    Check::own(move || probe.clone().reach())
}

/// Returns the check of several addresses. An address that is not reached degrades the service.
pub(super) fn connectivity(targets: Vec<Target>) -> Check {
    let probes: Vec<_> = targets
        .into_iter()
        .map(|target| (target.to_string(), Probe::new(&target)))
        .collect();
    let probes: Arc<[_]> = probes.into();
    Check::own(move || reach_all(Arc::clone(&probes)))
}

async fn reach_all(probes: Arc<[(String, Probe)]>) -> CheckResult {
    let mut reached = tokio::task::JoinSet::new();
    for (address, probe) in probes.iter().cloned() {
        reached.spawn(async move {
            let result = tokio::time::timeout(MAX_WAIT, probe.reach()).await;
            (address, result)
        });
    }
    let (mut parts, mut data) = (Vec::new(), Vec::new());
    while let Some(ended) = reached.join_next().await {
        let Ok((address, result)) = ended else {
            parts.push((HealthStatus::Degraded, "a probe panicked".to_owned()));
            continue;
        };
        let problem = match result {
            Ok(result) if result.status == HealthStatus::Healthy => None,
            Ok(result) => Some(result.message),
            Err(_) => Some(format!("no answer within {MAX_WAIT:?}")),
        };
        data.push((address.clone(), problem.is_none().into()));
        parts.extend(
            problem.map(|problem| (HealthStatus::Degraded, format!("{address}: {problem}"))),
        );
    }
    parts.sort();
    if parts.is_empty() {
        parts.push((
            HealthStatus::Healthy,
            "all addresses are reached".to_owned(),
        ));
    }
    join(parts, data)
}
