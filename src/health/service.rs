//! The handle to the health checks of an observatory.

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::runtime::Handle;

use super::{
    Check, CheckKind, CheckOptions, HealthChange, HealthConfig, HealthError, HealthReport,
    Readiness,
    builtin::{self, BuiltInParts},
    check_thread::MAX_THREADS,
    entry::Entry,
    options::{BUILT_IN, RUNTIME, check_group_name, check_name},
    runner::Runner,
    runtime_watch::RuntimeWatch,
    scheduler,
    shared::Shared,
};
use crate::{metrics::Gatherer, runtime::lock};

/// The health checks of an observatory. Clones share them.
///
/// ```
/// use llm_observatory::health::{Check, CheckOptions, CheckResult};
/// # use llm_observatory::{Config, Observatory};
/// # let config = Config::default().without_server().with_auto_start(false);
/// # let (_, observatory) = Observatory::builder(config).build::<tracing_subscriber::Registry>()?;
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// let health = observatory.health();
/// health.register("database", || async { ping().await })?;
/// let options = CheckOptions::default().with_failure_threshold(3);
/// health.register_dependency("search", Check::blocking(|| CheckResult::healthy("")), options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Health(pub(super) Arc<Shared>);

/// The parts of the observatory that the checks need.
pub(crate) struct HealthParts<'a> {
    pub(crate) options: &'a HealthConfig,
    /// True if checks run.
    pub(crate) is_on: bool,
    pub(crate) gatherer: &'a Arc<Gatherer>,
    pub(crate) built_in: BuiltInParts<'a>,
}

impl Health {
    /// Creates the built-in checks and the configured dependencies. They run after [`Health::start`].
    pub(crate) fn new(parts: &HealthParts<'_>) -> Result<Self, HealthError> {
        let runtime = Handle::try_current().ok();
        let gatherer = Arc::clone(parts.gatherer);
        let shared = Shared::new(parts.options.clone(), gatherer, parts.is_on, runtime);
        let health = Self(Arc::new(shared));
        let built_in = if parts.is_on {
            builtin::checks(parts)
        } else {
            Vec::new()
        };
        for (name, check, options) in built_in {
            health.add(name.to_owned(), (CheckKind::BuiltIn, false), check, options)?;
        }
        for (name, dependency) in &parts.options.dependencies {
            let options = CheckOptions {
                interval: dependency.interval,
                timeout: dependency.timeout,
                retries: dependency.retries,
                ..CheckOptions::default()
            };
            if let Some(check) = builtin::dependency(&dependency.target) {
                let kind = (CheckKind::Dependency, dependency.critical);
                health.add(name.clone(), kind, check, options)?;
            }
        }
        Ok(health)
    }

    /// Registers a check with default options. It is critical: the service is unhealthy and not ready without it.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is invalid or registered, or if the check needs a thread and cannot have one.
    pub fn register(
        &self,
        name: impl Into<String>,
        check: impl Into<Check>,
    ) -> Result<(), HealthError> {
        self.register_with(name, check, CheckOptions::default())
    }

    /// Registers a check with options. It is critical unless the options say otherwise.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Health::register`], and an error if an option is invalid.
    pub fn register_with(
        &self,
        name: impl Into<String>,
        check: impl Into<Check>,
        options: CheckOptions,
    ) -> Result<(), HealthError> {
        let kind = (CheckKind::Check, options.critical.unwrap_or(true));
        self.add_new(name.into(), kind, check.into(), options)
    }

    /// Registers the check of another service. The service is degraded without it, unless the options make it critical.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Health::register_with`].
    pub fn register_dependency(
        &self,
        name: impl Into<String>,
        check: impl Into<Check>,
        options: CheckOptions,
    ) -> Result<(), HealthError> {
        let kind = (CheckKind::Dependency, options.critical.unwrap_or(false));
        self.add_new(name.into(), kind, check.into(), options)
    }

    fn add_new(
        &self,
        name: String,
        kind: (CheckKind, bool),
        check: Check,
        options: CheckOptions,
    ) -> Result<(), HealthError> {
        check_name("the name of a health check", &name)?;
        if BUILT_IN.contains(&name.as_str()) || name == RUNTIME {
            return Err(HealthError::Duplicate { name });
        }
        self.add(name, kind, check, options)
    }

    fn add(
        &self,
        name: String,
        kind: (CheckKind, bool),
        check: Check,
        options: CheckOptions,
    ) -> Result<(), HealthError> {
        let shared = &self.0;
        let plan = options.plan(&name, &shared.options)?;
        if !shared.is_on {
            return Ok(());
        }
        // Held during the start of the thread, so that a name is registered once.
        let mut checks = lock(&shared.checks);
        if checks.contains_key(&name) {
            return Err(HealthError::Duplicate { name });
        }
        let runtime = options
            .runtime
            .or_else(|| Handle::try_current().ok())
            .or_else(|| shared.runtime.clone());
        let is_counted =
            kind.0 != CheckKind::BuiltIn && Runner::needs_thread(&check.0, runtime.as_ref());
        let thread = if is_counted {
            shared.threads.add()
        } else {
            None
        };
        if is_counted && thread.is_none() {
            let max = MAX_THREADS;
            return Err(HealthError::TooManyThreads { name, max });
        }
        let runner = match Runner::new(check.0, runtime, thread) {
            Ok(runner) => runner,
            Err(source) => return Err(HealthError::Thread { name, source }),
        };
        let now = shared.now().monotonic;
        let entry = Arc::new(Entry::new(name.clone(), kind, plan, runner, now));
        checks.insert(name, entry);
        drop(checks);
        shared.registered.notify_one();
        Ok(())
    }

    /// Removes a check, also a built-in check or a configured dependency.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name, or if a group contains it.
    pub fn remove(&self, name: &str) -> Result<(), HealthError> {
        let mut checks = lock(&self.0.checks);
        let groups = lock(&self.0.groups);
        let contains = |members: &Vec<String>| members.iter().any(|member| member == name);
        if let Some((group, _)) = groups.iter().find(|(_, members)| contains(members)) {
            let (name, group) = (name.to_owned(), group.clone());
            return Err(HealthError::InGroup { name, group });
        }
        let Some(entry) = checks.remove(name) else {
            let known = names_of(checks.keys());
            let name = name.to_owned();
            return Err(HealthError::Unknown { name, known });
        };
        entry.remove();
        self.0.forget_status(name);
        Ok(())
    }

    /// Adds a group of registered checks, with an endpoint below the path of the health report. In a group, every member
    /// is critical.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is invalid or taken, if there are no members, or if a member is not registered.
    pub fn add_group<M: Into<String>>(
        &self,
        group: impl Into<String>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<(), HealthError> {
        let group = group.into();
        check_group_name("the name of a group of health checks", &group)?;
        let members: Vec<String> = members.into_iter().map(Into::into).collect();
        if members.is_empty() {
            return Err(HealthError::EmptyGroup { group });
        }
        let checks = lock(&self.0.checks);
        let is_absent = |member: &&String| !checks.contains_key(*member);
        if let Some(member) = members.iter().find(is_absent).filter(|_| self.0.is_on) {
            return Err(HealthError::UnknownMember {
                group,
                member: member.clone(),
                known: names_of(checks.keys()),
            });
        }
        let mut groups = lock(&self.0.groups);
        if groups.contains_key(&group) {
            return Err(HealthError::Duplicate { name: group });
        }
        groups.insert(group, members);
        Ok(())
    }

    /// Removes a group.
    ///
    /// # Errors
    ///
    /// Returns an error if no group has this name.
    pub fn remove_group(&self, group: &str) -> Result<(), HealthError> {
        let mut groups = lock(&self.0.groups);
        if groups.remove(group).is_some() {
            return Ok(());
        }
        let (name, known) = (group.to_owned(), names_of(groups.keys()));
        Err(HealthError::Unknown { name, known })
    }

    /// Returns the names of the checks, in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        lock(&self.0.checks).keys().cloned().collect()
    }

    /// Returns the names of the groups beside `live`, `ready` and `startup`, in alphabetical order.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        lock(&self.0.groups).keys().cloned().collect()
    }

    /// Runs every check now, waits for the results, and returns the report; on any executor. Without a started
    /// observatory, returns the report of the last results.
    pub async fn run_now(&self) -> HealthReport {
        let entries = self.0.entries();
        let runs: Vec<_> = entries
            .iter()
            .map(|entry| entry.request(&self.0.is_running))
            .collect();
        for run in runs {
            // An error means that the check was removed or the observatory stopped.
            let _ = run.await;
        }
        self.report()
    }

    /// Returns the health of the whole service, from the last results.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.0.whole()
    }

    /// Returns the health of a group, from the last results: `live`, `ready`, `startup`, or a group of the application;
    /// `None` if there is no such group.
    #[must_use]
    pub fn group_report(&self, group: &str) -> Option<HealthReport> {
        self.0.group(group)
    }

    /// Returns the latch with which the application declares itself ready. From the first call on, `ready` and `startup`
    /// fail until [`Readiness::ready`] is called.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.0.readiness.take();
        self.0.readiness.clone()
    }

    /// Returns the last changes of the states of checks, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<HealthChange> {
        self.0.history()
    }

    /// Adds the watchdog of the application's runtime to the report.
    pub(crate) fn watch_runtime(&self, watch: Arc<dyn RuntimeWatch>) {
        // An observatory has one watchdog.
        let _ = self.0.watch.set(watch);
    }

    /// Starts the thread that runs the checks.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.0.readiness.restart();
        if self.0.is_on {
            let executor = scheduler::start(&self.0)?;
            self.0.is_running.store(true, Ordering::Release);
            *lock(&self.0.executor) = Some(executor);
        }
        Ok(())
    }

    /// Declares that the service shuts down.
    pub(crate) fn announce_end(&self, deadline: Instant) {
        self.0.readiness.shutting_down();
        if let Some(executor) = &*lock(&self.0.executor) {
            executor.announce_end(deadline);
        }
    }

    /// Stops the thread that runs the checks. Checks that hang keep their own threads.
    pub(crate) fn stop(&self, deadline: Instant) {
        let executor = lock(&self.0.executor).take();
        if let Some(executor) = executor {
            executor.stop(deadline, std::time::Duration::ZERO);
        }
    }
}

fn names_of<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return "(none)".to_owned();
    }
    names.join(", ")
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("checks", &self.names())
            .finish_non_exhaustive()
    }
}
