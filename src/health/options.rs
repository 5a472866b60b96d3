//! Options of the health checks, the health report and the system sampler.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    WatchdogConfig, dependency::DependencyConfig, target::Target, thresholds::HealthThresholds,
};
use crate::{
    runtime::named,
    settings::{
        ConfigError, MIN_INTERVAL, Variable, at_least, boolean, check, duration, set, setters,
        text, variable,
    },
};

/// The names of the built-in checks.
pub(super) const BUILT_IN: &[&str] = &[
    "cpu",
    "memory",
    "disk",
    "process",
    "error_rate",
    "response_time",
    "connectivity",
];
/// The groups that exist in every observatory.
pub(super) const RESERVED_GROUPS: &[&str] = &["live", "ready", "startup"];
/// The member of the report that the watchdog of the application's runtime supplies.
pub(super) const RUNTIME: &str = "runtime";
/// The maximum number of bytes of the name of a check or a group.
const MAX_NAME_BYTES: usize = 64;
/// The maximum number of retries, so that the longest run of a check stays finite.
const MAX_RETRIES: u32 = 100;
/// The maximum number of stored status changes.
const MAX_HISTORY: usize = 100_000;

/// Options of the health checks, the health report and the system sampler.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthConfig {
    /// True if checks run, and the process and the machine are sampled. Default: true if the feature `health` is
    /// compiled in.
    pub enabled: bool,
    /// Path of the health report; the groups lie below it. Default: `/health`.
    pub endpoint: String,
    /// Time between the starts of two runs of a check. Default: 10 s.
    pub interval: Duration,
    /// Time limit of one attempt of a check. Default: 5 s.
    pub timeout: Duration,
    /// Attempts of a run after its first failure. Default: 3.
    pub retries: u32,
    /// The limits of the built-in checks.
    pub thresholds: HealthThresholds,
    /// Paths whose file systems the check `disk` reads, beside the working directory, the temporary directory, the data
    /// directory of alerting and `/`. Default: empty.
    pub disk_paths: Vec<PathBuf>,
    /// Addresses that the check `connectivity` reaches: `tcp://db:5432`, `https://example.com`, `dns://example.com`.
    /// Default: empty, which omits the check.
    pub connectivity: Vec<String>,
    /// Other services that this service needs, by the names of their checks. Default: empty.
    pub dependencies: BTreeMap<String, DependencyConfig>,
    /// Groups of checks, each with an endpoint of its own below `endpoint`. The members are built-in checks and
    /// configured dependencies; [`Health::add_group`](super::Health::add_group) adds groups of other checks. Default:
    /// empty.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Callers that see messages and checks. Default: all callers.
    pub details: HealthDetails,
    /// Time for which all workers of the application's runtime have stood still when `live` fails; `None` keeps `live`
    /// passing. Default: 60 s.
    pub live_after: Option<Duration>,
    /// Maximum number of stored status changes. Default: 1,000.
    pub max_history: usize,
    /// Options of the watchdog, which also needs `enabled`.
    pub watchdog: WatchdogConfig,
}

named! {
    /// The callers that see messages and checks in the health report. Every caller sees the status.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum HealthDetails {
        /// All callers.
        #[default]
        Always = "always",
        /// Callers with the token of the API (`alerting.api_token`).
        Authenticated = "authenticated",
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: cfg!(feature = "health"),
            endpoint: "/health".to_owned(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            thresholds: HealthThresholds::default(),
            disk_paths: Vec::new(),
            connectivity: Vec::new(),
            dependencies: BTreeMap::new(),
            groups: BTreeMap::new(),
            details: HealthDetails::Always,
            live_after: Some(Duration::from_mins(1)),
            max_history: 1_000,
            watchdog: WatchdogConfig::default(),
        }
    }
}

impl HealthConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("HEALTH_CHECK_ENABLED" => enabled, boolean),
        variable!("HEALTH_ENDPOINT" => endpoint, text),
        variable!("OBSERVATORY_WATCHDOG_ENABLED" => watchdog.enabled, boolean),
        variable!("OBSERVATORY_WATCHDOG_INTERVAL" => watchdog.interval, duration),
        variable!("OBSERVATORY_WATCHDOG_BLOCKED_AFTER" => watchdog.blocked_after, duration),
        variable!("OBSERVATORY_WATCHDOG_STALLED_AFTER" => watchdog.stalled_after, duration),
        variable!("OBSERVATORY_HEALTH_INTERVAL" => interval, duration),
        variable!("OBSERVATORY_HEALTH_TIMEOUT" => timeout, duration),
        variable!("OBSERVATORY_HEALTH_RETRIES" => retries, retries),
        Variable::new("OBSERVATORY_HEALTH_DETAILS", |health, value| {
            let named = HealthDetails::ALL
                .into_iter()
                .find(|details| details.as_str() == value);
            set(
                &mut health.details,
                named.ok_or("`always` or `authenticated`"),
            )
        }),
        Variable::new("OBSERVATORY_LIVE_AFTER", |health, value| {
            let live_after = match value {
                "off" => Ok(None),
                value => duration(value)
                    .map(Some)
                    .map_err(|_| "`off`, or a duration with its unit, for example `60s`"),
            };
            set(&mut health.live_after, live_after)
        }),
    ];

    setters! {
        /// Adds a dependency, or replaces the dependency with this name.
        with_dependency(name: impl Into<String>, dependency: DependencyConfig) {
            self.dependencies.insert(name.into(), dependency)
        }

        /// Adds a group of built-in checks and configured dependencies, or replaces the group with this name.
        with_group(name: impl Into<String>, members: impl IntoIterator<Item = &'static str>) {
            self.groups
                .insert(name.into(), members.into_iter().map(str::to_owned).collect())
        }

        /// Sets the time between the starts of two runs of a check.
        with_interval(interval: Duration) { self.interval = interval }
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        check_schedule("health", self.interval, self.timeout, self.retries)?;
        self.thresholds.validate()?;
        for path in &self.disk_paths {
            let is_path = path.is_absolute();
            check(is_path, "health.disk_paths", path, "an absolute path")?;
        }
        for address in &self.connectivity {
            Target::check("health.connectivity", address)?;
        }
        for (name, dependency) in &self.dependencies {
            let key = format!("health.dependencies.{name}");
            check_name(&key, name)?;
            let is_free = !BUILT_IN.contains(&name.as_str()) && name != RUNTIME;
            check(is_free, &key, name, "a name that no built-in check has")?;
            dependency.validate(&key, self)?;
        }
        for (name, members) in &self.groups {
            self.check_group(name, members)?;
        }
        if self.enabled {
            self.watchdog.validate()?;
        }
        if let Some(live_after) = &self.live_after {
            at_least("health.live_after", live_after, Duration::from_secs(1))?;
        }
        check(
            (1..=MAX_HISTORY).contains(&self.max_history),
            "health.max_history",
            &self.max_history,
            format!("a whole number from 1 to {MAX_HISTORY}"),
        )
    }

    fn check_group(&self, name: &str, members: &[String]) -> Result<(), ConfigError> {
        let key = format!("health.groups.{name}");
        check_group_name(&key, name)?;
        check(!members.is_empty(), &key, &members, "at least one check")?;
        for member in members {
            let is_known = self.is_built_in(member) || self.dependencies.contains_key(member);
            check(
                is_known,
                &key,
                member,
                "the name of a built-in check or of a configured dependency; Health::add_group adds groups of checks that \
                 code registers",
            )?;
        }
        Ok(())
    }

    /// Returns whether a built-in check of this name runs.
    fn is_built_in(&self, name: &str) -> bool {
        BUILT_IN.contains(&name) && (name != "connectivity" || !self.connectivity.is_empty())
    }
}

/// Parses a number of retries.
fn retries(text: &str) -> Result<u32, &'static str> {
    let retries = text.parse().ok().filter(|retries| *retries <= MAX_RETRIES);
    retries.ok_or("a whole number from 0 to 100")
}

/// Checks the name of a check, which is the value of a label and a segment of a path.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), ConfigError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_plain);
    let expected = "1 to 64 letters, digits, and the characters `_`, `-`, `.` and `:`";
    check(is_name, key, &name, expected)
}

/// Checks the name of a group.
pub(super) fn check_group_name(key: &str, name: &str) -> Result<(), ConfigError> {
    check_name(key, name)?;
    let is_free = !RESERVED_GROUPS.contains(&name);
    check(
        is_free,
        key,
        &name,
        "a name other than live, ready and startup",
    )
}

/// Checks when and for how long a check runs. `area` is the beginning of the keys.
pub(super) fn check_schedule(
    area: &str,
    interval: Duration,
    timeout: Duration,
    retries: u32,
) -> Result<(), ConfigError> {
    /// Longer times are taken for a mistake in the unit.
    const MAX: Duration = Duration::from_hours(24);
    let times = [
        ("interval", interval, MIN_INTERVAL),
        ("timeout", timeout, Duration::from_millis(1)),
    ];
    for (name, time, min) in times {
        let expected = format!("from {min:?} to 24h");
        let is_valid = (min..=MAX).contains(&time);
        check(is_valid, &format!("{area}.{name}"), &time, expected)?;
    }
    check(
        retries <= MAX_RETRIES,
        &format!("{area}.retries"),
        &retries,
        "a whole number from 0 to 100",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(change: impl FnOnce(&mut HealthConfig)) -> String {
        let mut config = HealthConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn each_invalid_value_is_named_with_its_key_and_the_valid_values() {
        assert!(HealthConfig::default().validate().is_ok());
        for (error, expected) in [
            (
                error_of(|config| config.thresholds.cpu_percent = 200.0),
                "health.thresholds.cpu is 200.0, but must be a percentage above 0 and at most 100",
            ),
            (
                error_of(|config| config.thresholds.error_rate = 5.0),
                "health.thresholds.error_rate is 5.0, but must be a share above 0 and at most 1",
            ),
            (
                error_of(|config| config.interval = Duration::ZERO),
                "health.interval is 0ns, but must be from 100ms to 24h",
            ),
            (
                error_of(|config| config.retries = 1_000),
                "health.retries is 1000, but must be a whole number from 0 to 100",
            ),
            (
                error_of(|config| drop(config.groups.insert("api".into(), Vec::new()))),
                "health.groups.api is [], but must be at least one check",
            ),
            (
                error_of(|config| drop(config.groups.insert("live".into(), vec!["cpu".into()]))),
                "health.groups.live is \"live\", but must be a name other than live, ready and startup",
            ),
            (
                error_of(|config| config.connectivity.push("db:5432".into())),
                "health.connectivity is \"db:5432\", but must be an address such as tcp://db:5432, https://example.com or \
                 dns://example.com",
            ),
            (
                error_of(|config| config.disk_paths.push("data".into())),
                "health.disk_paths is \"data\", but must be an absolute path",
            ),
            (
                error_of(|config| config.live_after = Some(Duration::ZERO)),
                "health.live_after is 0ns, but must be at least 1s",
            ),
        ] {
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_group_has_members_that_exist() {
        let unknown = error_of(|config| {
            config.groups.insert("api".into(), vec!["redis".into()]);
        });
        assert!(
            unknown.starts_with("health.groups.api is \"redis\""),
            "{unknown}"
        );
        let without_addresses = error_of(|config| {
            config
                .groups
                .insert("api".into(), vec!["connectivity".into()]);
        });
        assert!(without_addresses.contains("\"connectivity\""));
        let config = HealthConfig::default()
            .with_dependency("redis", DependencyConfig::tcp("127.0.0.1:6379"))
            .with_group("api", ["redis", "disk"]);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_dependency_is_checked_with_its_name() {
        let of = |name: &str, dependency| {
            error_of(|config| drop(config.dependencies.insert(name.to_owned(), dependency)))
        };
        let error = of("db", DependencyConfig::tcp("no-port"));
        assert_eq!(
            error,
            "health.dependencies.db.tcp is \"no-port\", but must be a host and a port, such as db:5432"
        );
        let error = of("web", DependencyConfig::url("ftp://example.com"));
        assert!(error.starts_with("health.dependencies.web.url"), "{error}");
        let error = of("cpu", DependencyConfig::tcp("db:5432"));
        assert!(error.contains("that no built-in check has"), "{error}");
        let zero = DependencyConfig::tcp("db:5432").with_interval(Duration::ZERO);
        let error = of("db", zero);
        assert!(
            error.starts_with("health.dependencies.db.interval is 0ns"),
            "{error}"
        );
    }
}
