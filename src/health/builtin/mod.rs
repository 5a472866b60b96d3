//! The built-in checks, and the checks of addresses.

mod address;
mod cgroup;
mod cpu;
#[cfg(unix)]
mod disk;
mod memory;
mod openai;
#[cfg(unix)]
mod process;
#[cfg(feature = "alerting")]
mod traffic;

use std::path::PathBuf;
#[cfg(feature = "alerting")]
use std::sync::Arc;

use hyper::{HeaderMap, Uri};

use super::{
    Check, CheckOptions, CheckResult, DependencyTarget, HealthStatus, service::HealthParts,
    target::Target,
};
use crate::{
    net::{OutgoingClient, Protocol, Settings, Tls, TlsFiles},
    observation::AttributeValue,
    privacy::Secret,
    settings::ConfigError,
};

/// The percentage at which disks, descriptors and the memory of a cgroup are exhausted, so that their check is unhealthy.
const EXHAUSTED_PERCENT: f64 = 98.0;

/// The parts of the observatory that the built-in checks read.
pub(crate) struct BuiltInParts<'a> {
    /// The directories whose file systems are checked.
    pub(crate) directories: Vec<PathBuf>,
    #[cfg(feature = "alerting")]
    pub(crate) queries: &'a Arc<crate::metrics::collect::Queries>,
    /// True if series are stored, so that queries have results.
    #[cfg(feature = "alerting")]
    pub(crate) stores_series: bool,
    #[cfg(not(feature = "alerting"))]
    pub(crate) without_queries: std::marker::PhantomData<&'a ()>,
}

/// Returns the built-in checks with their names.
pub(super) fn checks(parts: &HealthParts<'_>) -> Vec<(&'static str, Check, CheckOptions)> {
    let options = parts.options;
    let thresholds = options.thresholds;
    // A retry would measure the same.
    let once = || CheckOptions::default().with_retries(0);
    let mut checks = vec![
        ("cpu", cpu::check(thresholds.cpu_percent), once()),
        ("memory", memory::check(thresholds.memory_percent), once()),
    ];
    #[cfg(unix)]
    {
        let directories = parts.built_in.directories.iter().chain(&options.disk_paths);
        let disk = disk::check(directories.cloned().collect(), thresholds.disk_percent);
        let process = process::check(thresholds.memory_percent);
        checks.extend([("disk", disk, once()), ("process", process, once())]);
    }
    let [errors, times] = traffic(parts);
    checks.extend([
        ("error_rate", errors, once()),
        ("response_time", times, once()),
    ]);
    let targets = options.connectivity.iter();
    let targets: Vec<Target> = targets.filter_map(|text| Target::parse(text)).collect();
    if !targets.is_empty() {
        let check = address::connectivity(targets);
        checks.push(("connectivity", check, CheckOptions::default()));
    }
    checks
}

/// Returns the checks of the error rate and of the response time.
#[cfg(feature = "alerting")]
fn traffic(parts: &HealthParts<'_>) -> [Check; 2] {
    if !parts.built_in.stores_series {
        return ["turn on query.enabled"; 2].map(not_measured);
    }
    let prefix = parts.gatherer.registry.prefix();
    let (queries, thresholds) = (parts.built_in.queries, parts.options.thresholds);
    [
        traffic::error_rate(Arc::clone(queries), prefix, thresholds.error_rate),
        traffic::response_time(Arc::clone(queries), prefix, thresholds.response_time),
    ]
}

#[cfg(not(feature = "alerting"))]
fn traffic(_: &HealthParts<'_>) -> [Check; 2] {
    ["add the feature `alerting`"; 2].map(not_measured)
}

/// Returns a check that measures nothing and says why.
fn not_measured(remedy: &'static str) -> Check {
    Check::own(move || async move {
        CheckResult::healthy(format!("not measured: {remedy}")).with_data("measured", false)
    })
}

/// Returns the check of a dependency; `None` if its address is invalid.
pub(super) fn dependency(target: &DependencyTarget) -> Option<Check> {
    match target {
        DependencyTarget::OpenAi {
            url,
            api_key,
            completion_model,
        } => openai::check(url, api_key.as_ref(), completion_model.clone()),
        plain => plain.plain().map(|target| address::check(&target)),
    }
}

impl Check {
    /// Creates a check of an address, as the dependencies of the configuration have. It runs on the observatory's own
    /// thread.
    ///
    /// ```
    /// use llm_observatory::health::{Check, DependencyTarget};
    ///
    /// let check = Check::of(&DependencyTarget::Tcp("127.0.0.1:6379".to_owned()))?;
    /// # Ok::<(), llm_observatory::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the address is invalid.
    pub fn of(target: &DependencyTarget) -> Result<Self, ConfigError> {
        target.validate("the address of a check")?;
        let missing = || ConfigError::Invalid {
            key: "the address of a check".to_owned(),
            value: "invalid".to_owned(),
            expected: "a URL, or a host and a port".into(),
        };
        dependency(target).ok_or_else(missing)
    }
}

/// Returns a result for a percentage that is in use: degraded above `threshold`, and unhealthy from `exhausted` on.
fn usage(
    what: &str,
    used_percent: f64,
    threshold: f64,
    exhausted: Option<f64>,
) -> (HealthStatus, String) {
    let status = if exhausted.is_some_and(|limit| used_percent >= limit) {
        HealthStatus::Unhealthy
    } else if used_percent > threshold {
        HealthStatus::Degraded
    } else {
        HealthStatus::Healthy
    };
    let limit = match status {
        HealthStatus::Unhealthy => exhausted.unwrap_or(threshold),
        HealthStatus::Healthy | HealthStatus::Degraded => threshold,
    };
    (
        status,
        format!("{used_percent:.1} % of {what} in use (limit {limit} %)"),
    )
}

/// Joins the results of the parts of a check: the worst status, with the messages of the parts that have it.
fn join(parts: Vec<(HealthStatus, String)>, data: Vec<(String, AttributeValue)>) -> CheckResult {
    let worst = parts.iter().map(|(status, _)| *status).max();
    let worst = worst.unwrap_or(HealthStatus::Healthy);
    let texts = parts.into_iter().filter(|(status, _)| *status == worst);
    let texts: Vec<String> = texts.map(|(_, text)| text).collect();
    let mut result = CheckResult::new(worst, texts.join("; "));
    result.data = data.into_iter().collect();
    result
}

/// Sends requests for one check.
#[derive(Clone)]
struct Requests {
    client: OutgoingClient,
    uri: Uri,
    headers: HeaderMap,
}

impl Requests {
    /// Creates a client for an address; `None` if the address or the key cannot be sent.
    fn new(url: &str, api_key: Option<&Secret>) -> Option<Self> {
        let files = TlsFiles {
            key: "health",
            certificate: None,
            client: None,
        };
        let client = OutgoingClient::with_settings(Settings {
            protocol: Protocol::Http1,
            // The timeout of the check ends an attempt earlier.
            connect_timeout: std::time::Duration::from_hours(24),
            timeout: None,
            tls: Tls::new(files, &[]).ok()?,
        });
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value: hyper::header::HeaderValue =
                format!("Bearer {}", key.expose()).parse().ok()?;
            value.set_sensitive(true);
            headers.insert(hyper::header::AUTHORIZATION, value);
        }
        Some(Self {
            client,
            uri: url.parse().ok()?,
            headers,
        })
    }
}
