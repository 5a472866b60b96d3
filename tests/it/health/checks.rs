//! Tests registration, and checks that fail, hang, panic and block.

use super::*;

#[test]
fn a_name_is_registered_once_and_errors_say_what_is_right() {
    let (_observatory, _, health) = bare();
    let healthy = || Check::blocking(|| HealthStatus::Healthy);
    health.register("database", healthy()).unwrap();
    let error = health.register("database", healthy()).unwrap_err();
    assert!(matches!(error, HealthError::Duplicate { .. }), "{error}");
    let text = |error: Result<(), HealthError>| error.unwrap_err().to_string();
    assert_eq!(
        text(health.register("cpu", healthy())),
        "\"cpu\" is registered already: remove it first, or choose another name"
    );
    assert!(text(health.register("two words", healthy())).contains("1 to 64 letters"));
    let every = CheckOptions::default().with_interval(Duration::ZERO);
    assert_eq!(
        text(health.register_with("queue", healthy(), every)),
        "health.checks.queue.interval is 0ns, but must be from 100ms to 24h"
    );
    let never = CheckOptions::default().with_failure_threshold(0);
    assert_eq!(
        text(health.register_with("queue", healthy(), never)),
        "health.checks.queue.failure_threshold is 0, but must be at least 1"
    );
    assert_eq!(health.names(), ["database"]);
    assert_eq!(
        text(health.remove("queue")),
        "there is no check or group \"queue\"; the names are database"
    );
    assert_eq!(
        text(health.add_group("api", Vec::<String>::new())),
        "the group \"api\" has no members, but must have at least one check"
    );
    assert_eq!(
        text(health.add_group("api", ["queue"])),
        "the group \"api\" names \"queue\", which is not registered: register the check first; the names are database"
    );
    assert!(text(health.add_group("ready", ["database"])).contains("other than live, ready"));
    health.add_group("api", ["database"]).unwrap();
    assert!(text(health.add_group("api", ["database"])).contains("registered already"));
    assert_eq!(
        text(health.remove("database")),
        "\"database\" is a member of the group \"api\": remove the group first"
    );
    health.remove_group("api").unwrap();
    health.remove("database").unwrap();
    assert!(health.names().is_empty());
}

#[test]
fn a_check_that_panics_hangs_or_blocks_fails_alone() {
    let runtime = multi_thread();
    let (_observatory, address, health) = bare();
    let on_runtime = || once().with_runtime(runtime.handle().clone());
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = std::sync::Mutex::new(is_released);
    // Without a first run by itself: `run_now` makes each run.
    let register = |name: &str, check: Check, options: CheckOptions| {
        let options = options.with_start_delay(Duration::from_hours(1));
        health.register_dependency(name, check, options).unwrap();
    };
    register(
        "works",
        Check::from(|| async { Ok::<_, String>(()) }),
        on_runtime(),
    );
    let panics = || async { panic!("on purpose") as CheckResult };
    register("panics", Check::from(panics), on_runtime());
    let hangs = || async { std::future::pending::<CheckResult>().await };
    register("hangs", Check::from(hangs), on_runtime());
    // On a runtime of its own: tokio may leave a task in the queue of a blocked worker.
    let blocked = multi_thread();
    let (_released, is_over) = ReleaseOnDrop::new();
    let over = Arc::clone(&is_over);
    let blocks = move || {
        let over = Arc::clone(&over);
        async move {
            while !over.load(Ordering::Acquire) {
                std::thread::sleep(MS(5));
            }
            CheckResult::healthy("")
        }
    };
    let on_blocked = once().with_runtime(blocked.handle().clone());
    register("blocks_a_worker", Check::from(blocks), on_blocked);
    register(
        "panics_sync",
        Check::blocking(|| panic!("on {}", "purpose") as CheckResult),
        once(),
    );
    let waits = move || drop(is_released.lock().map(|receiver| receiver.recv()));
    let blocks = Check::blocking(move || {
        waits();
        HealthStatus::Healthy
    });
    register("blocks", blocks, once());
    run_now(&health);
    let of = |name: &str| {
        let check = check_of(&health, name);
        (check.status, check.message)
    };
    let unhealthy = |text: &str| (CheckState::Unhealthy, text.to_owned());
    assert_eq!(of("works"), (CheckState::Healthy, String::new()));
    assert_eq!(of("panics"), unhealthy("the check panicked: on purpose"));
    assert_eq!(
        of("panics_sync"),
        unhealthy("the check panicked: on purpose")
    );
    assert_eq!(of("hangs"), unhealthy("no answer within 300ms"));
    assert_eq!(of("blocks_a_worker"), unhealthy("no answer within 300ms"));
    assert_eq!(of("blocks"), unhealthy("no answer within 300ms"));
    run_now(&health);
    // An attempt that hangs is not started again; an attempt that can be cancelled is.
    assert_eq!(of("blocks"), unhealthy("an earlier attempt has not ended"));
    assert_eq!(
        of("blocks_a_worker"),
        unhealthy("an earlier attempt has not ended")
    );
    assert_eq!(of("hangs"), unhealthy("no answer within 300ms"));
    assert_eq!(of("works").0, CheckState::Healthy);
    let begun = Instant::now();
    assert_eq!(code(address, "/metrics"), 200);
    assert!(begun.elapsed() < Duration::from_secs(1));
    is_over.store(true, Ordering::Release);
    drop(release);
    until("the blocking check", || {
        run_now(&health);
        of("blocks").0 == CheckState::Healthy
    });
}

#[test]
fn a_failed_attempt_is_retried_within_the_run() {
    let (_observatory, _, health) = bare();
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let third = Check::blocking(move || match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("refused"),
        _ => Ok(()),
    });
    let hourly = Duration::from_hours(1);
    let options = CheckOptions::default()
        .with_interval(hourly)
        .with_retries(2);
    health.register_with("third", third, options).unwrap();
    until("a result", || {
        check_of(&health, "third").status != CheckState::Pending
    });
    let check = check_of(&health, "third");
    assert_eq!(
        (check.status, check.consecutive_failures),
        (CheckState::Healthy, 0)
    );
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    assert!(
        check.duration.unwrap() >= MS(300),
        "two backoffs: {:?}",
        check.duration
    );
}

#[test]
fn an_async_check_runs_on_the_applications_runtime_and_else_on_its_own_thread() {
    let (runtime, (observatory, _, health)) = (multi_thread(), bare());
    let place = || async {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let id = tokio::runtime::Handle::current().id().to_string();
        CheckResult::healthy(thread).with_data("runtime", id)
    };
    health.register("without", place).unwrap();
    runtime.block_on(async { health.register("inside", place).unwrap() });
    let options = CheckOptions::default().with_runtime(runtime.handle().clone());
    health.register_with("named", place, options).unwrap();
    run_now(&health);
    let own = runtime.handle().id().to_string();
    for name in ["inside", "named"] {
        let check = check_of(&health, name);
        assert_eq!(check.data["runtime"], own.as_str().into(), "{name}");
    }
    let check = check_of(&health, "without");
    assert_eq!(check.message, "obs-check");
    assert_ne!(check.data["runtime"], own.as_str().into());
    // The runtime that is current at the installation is the default.
    drop(observatory);
    let (_observatory, _, health) = runtime.block_on(async { bare() });
    health.register("installed", place).unwrap();
    run_now(&health);
    assert_eq!(
        check_of(&health, "installed").data["runtime"],
        own.as_str().into()
    );
}

#[test]
fn a_check_of_a_blocked_runtime_is_not_run_then_stale_and_recovers() {
    let (_observatory, address, health) = bare();
    // A runtime that no thread drives is a runtime that is blocked for ever.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = once().with_timeout(MS(50)).with_interval(MS(1_000));
    let options = options.with_runtime(runtime.handle().clone());
    health
        .register_with("database", || async { HealthStatus::Healthy }, options)
        .unwrap();
    until("the message", || {
        check_of(&health, "database").message == "not run: the runtime is blocked"
    });
    assert_eq!(code(address, "/health"), 200, "pending is degraded");
    until("the expiry", || check_of(&health, "database").stale);
    let check = check_of(&health, "database");
    assert_eq!(check.status, CheckState::Unhealthy);
    assert!(
        check.message.starts_with("stale: no result within"),
        "{}",
        check.message
    );
    assert!(
        check.message.ends_with("not run: the runtime is blocked"),
        "{}",
        check.message
    );
    assert_eq!(code(address, "/health"), 503);
    assert_eq!(code(address, "/health/live"), 200);
    runtime.block_on(async {
        while check_of(&health, "database").status != CheckState::Healthy {
            tokio::time::sleep(MS(5)).await;
        }
    });
    assert_eq!(code(address, "/health"), 200);
}

#[test]
fn at_most_32_checks_have_threads() {
    let (_observatory, _, health) = bare();
    let healthy = || Check::blocking(|| HealthStatus::Healthy);
    for number in 0..32 {
        health
            .register(format!("check-{number}"), healthy())
            .unwrap();
    }
    let error = health
        .register("one-more", healthy())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("\"one-more\" needs a thread of its own, and 32"),
        "{error}"
    );
    health.remove("check-0").unwrap();
    until("the thread's end", || {
        health.register("one-more", healthy()).is_ok()
    });
}

#[test]
fn the_watchdog_decides_while_the_runtime_is_blocked_and_its_checks_are_not_run() {
    let runtime = multi_thread();
    let mut config = config();
    config.health.watchdog.enabled = true;
    config.health.watchdog.stalled_after = MS(500);
    config.health.live_after = Some(Duration::from_secs(1));
    // The runtime that is current at the start is the runtime that the watchdog watches.
    let (observatory, address) = runtime.block_on(async { build(config) });
    let health = observatory.health();
    let options = once().with_timeout(MS(50)).with_interval(MS(100));
    health
        .register_with("database", || async { HealthStatus::Healthy }, options)
        .unwrap();
    until("readiness", || code(address, "/health/ready") == 200);
    assert_eq!(code(address, "/health/live"), 200);
    let (_released, is_over) = ReleaseOnDrop::new();
    for _ in 0..2 {
        let is_over = Arc::clone(&is_over);
        runtime.spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                std::thread::sleep(MS(5));
            }
        });
    }
    until("the watchdog", || {
        json(address, "/health")["decided_by"] == "runtime"
    });
    until("the end of life", || code(address, "/health/live") == 503);
    let report = json(address, "/health");
    let message = report["checks"]["database"]["message"].as_str().unwrap();
    assert!(
        message.contains("not run: the runtime is blocked"),
        "{message}"
    );
    is_over.store(true, Ordering::Release);
    until("the recovery", || {
        code(address, "/health/live") == 200 && code(address, "/health/ready") == 200
    });
    until("the watchdog's recovery", || {
        check_of(&health, "runtime").status == CheckState::Healthy
    });
}
