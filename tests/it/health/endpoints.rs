//! Tests the endpoints: probes, groups, forms, hidden details, history.

use super::*;

/// A probe as the kubelet makes it: a timeout of one second, and three failures in a row until it acts.
struct Probe {
    address: SocketAddr,
    path: &'static str,
    failures: u32,
}

impl Probe {
    fn new(address: SocketAddr, path: &'static str) -> Self {
        Self {
            address,
            path,
            failures: 0,
        }
    }

    /// Returns whether the kubelet acts after this probe.
    fn acts(&mut self) -> bool {
        let begun = Instant::now();
        let has_passed = code(self.address, self.path) == 200;
        let is_in_time = begun.elapsed() < Duration::from_secs(1);
        self.failures = if has_passed && is_in_time {
            0
        } else {
            self.failures + 1
        };
        self.failures >= 3
    }
}

#[test]
fn kubernetes_probes_follow_start_up_steady_state_saturation_and_shutdown() {
    let runtime = multi_thread();
    let mut config = config();
    // A built-in check that is always over its limit must not take the pod out of service.
    config.health.thresholds.memory_percent = 0.001;
    let (observatory, address) = build(config);
    let health = observatory.health();
    // The disks and limits of the machine that runs the test do not belong to the test.
    for name in ["disk", "process"] {
        health.remove(name).unwrap();
    }
    let readiness = health.readiness();
    let (is_loaded, is_up) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(true)),
    );
    let (loaded, up) = (Arc::clone(&is_loaded), Arc::clone(&is_up));
    let model = move || {
        let loaded = Arc::clone(&loaded);
        async move {
            while !loaded.load(Ordering::Acquire) {
                tokio::time::sleep(MS(5)).await;
            }
            CheckResult::healthy("loaded")
        }
    };
    let on_runtime = || CheckOptions::default().with_runtime(runtime.handle().clone());
    health.register_with("model", model, on_runtime()).unwrap();
    let database = move || {
        let up = up.load(Ordering::Acquire);
        async move {
            if up {
                Ok(())
            } else {
                Err("connection refused")
            }
        }
    };
    let every = on_runtime()
        .with_interval(MS(100))
        .with_retries(0)
        .with_critical(true);
    health
        .register_dependency("database", database, every)
        .unwrap();
    let probe = |path| Probe::new(address, path);
    let mut startup = probe("/health/startup");
    let mut ready = probe("/health/ready");
    let mut live = probe("/health/live");

    // Start-up: the model is pending, and then the application is not ready yet.
    assert!((0..3).all(|_| code(address, "/health/startup") == 503));
    assert_eq!(json(address, "/health/ready")["decided_by"], "readiness");
    readiness.ready();
    until("the pending model", || {
        json(address, "/health/ready")["decided_by"] == "model"
    });
    assert_eq!(json(address, "/health")["status"], "degraded");
    assert!(!live.acts());
    is_loaded.store(true, Ordering::Release);
    until("the model", || code(address, "/health/startup") == 200);

    // Steady state. Memory is degraded, and names itself; readiness does not see it.
    until("the memory", || {
        json(address, "/health")["decided_by"] == "memory"
    });
    until("readiness", || code(address, "/health/ready") == 200);
    assert!(!(0..3).any(|_| startup.acts() || ready.acts() || live.acts()));

    // A critical dependency fails: out of service, and not restarted.
    is_up.store(false, Ordering::Release);
    until("the outage", || code(address, "/health/ready") == 503);
    assert!((0..3).map(|_| ready.acts()).last().unwrap());
    assert!(!(0..3).any(|_| startup.acts() || live.acts()));
    let report = json(address, "/health/ready");
    assert_eq!(
        (&report["decided_by"], &report["message"]),
        (&"database".into(), &"connection refused".into())
    );
    is_up.store(true, Ordering::Release);
    until("the recovery", || code(address, "/health/ready") == 200);

    // A saturated runtime: every worker is always busy, in polls of 20 ms.
    let (_released, is_over) = ReleaseOnDrop::new();
    for _ in 0..8 {
        let is_over = Arc::clone(&is_over);
        runtime.spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                std::thread::sleep(MS(20));
                tokio::task::yield_now().await;
            }
        });
    }
    let mut ready = probe("/health/ready");
    let end = Instant::now() + MS(700);
    while Instant::now() < end {
        assert!(!startup.acts() && !ready.acts() && !live.acts());
        std::thread::sleep(MS(20));
    }
    is_over.store(true, Ordering::Release);

    // Shutdown: not ready, and alive until the end.
    readiness.shutting_down();
    assert!((0..3).map(|_| ready.acts()).last().unwrap());
    assert!(!(0..3).any(|_| startup.acts() || live.acts()));
    assert_eq!(
        json(address, "/health/ready")["message"],
        "the application shuts down"
    );
    observatory.shutdown_blocking();
    let report = health.group_report("ready").unwrap();
    assert_eq!(report.status, HealthStatus::Unhealthy);
}

#[test]
fn a_shutdown_of_the_observatory_ends_readiness() {
    let (observatory, _, health) = bare();
    assert_eq!(
        health.group_report("ready").unwrap().status,
        HealthStatus::Healthy
    );
    observatory.shutdown_blocking();
    let report = health.group_report("ready").unwrap();
    assert_eq!(report.decided_by.as_deref(), Some("readiness"));
    observatory.start().unwrap();
    assert_eq!(
        health.group_report("ready").unwrap().status,
        HealthStatus::Healthy
    );
}

#[test]
fn a_report_has_three_forms_and_names_the_deciding_check() {
    let (_observatory, address, health) = bare();
    health
        .register_with(
            "database",
            Check::blocking(|| Err::<(), _>("connection\nrefused")),
            once(),
        )
        .unwrap();
    let search = Check::blocking(|| CheckResult::degraded("slow").with_data("ms", 812));
    health
        .register_dependency("search", search, once())
        .unwrap();
    health.add_group("search-only", ["search"]).unwrap();
    until("results", || {
        let checks = health.report().checks;
        checks
            .iter()
            .all(|check| check.status != CheckState::Pending)
    });
    let body = json(address, "/health");
    assert_eq!(body["status"], "unhealthy");
    assert_eq!(body["decided_by"], "database");
    assert_eq!(body["checks"]["database"]["critical"], true);
    assert_eq!(body["dependencies"]["search"]["data"]["ms"], 812);
    assert!(
        body["dependencies"]["search"]["age_seconds"]
            .as_f64()
            .unwrap()
            < 20.0
    );
    assert_eq!(body["counts"]["unhealthy"], 1);
    let (head, text) = get(address, "/health", "accept: application/health+json\r\n");
    assert!(
        head.starts_with("http/1.0 503") && head.contains("application/health+json"),
        "{head}"
    );
    let draft: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(draft["status"], "fail");
    assert_eq!(draft["output"], "database: connection\nrefused");
    assert_eq!(draft["checks"]["search"][0]["status"], "warn");
    assert_eq!(draft["checks"]["uptime"][0]["status"], "pass");
    let (head, text) = get(address, "/health?format=text", "");
    assert!(head.contains("text/plain"), "{head}");
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("unhealthy: database: connection refused")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("[-] database unhealthy: connection refused, ")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("[!] search degraded: slow, ")
    );
    let (head, _) = get(address, "/health", "accept: text/plain\r\n");
    assert!(head.contains("text/plain"), "{head}");
    // A group with a degraded member answers 200; an unknown group lists the groups.
    assert_eq!(json(address, "/health/search-only")["status"], "degraded");
    let (head, text) = get(address, "/health/nowhere", "");
    assert!(head.starts_with("http/1.0 404"), "{head}");
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("live, ready, startup, search-only")
    );
    assert_eq!(code(address, "/health?format=xml"), 400);
}

#[test]
fn the_answer_comes_from_the_last_result_in_a_millisecond() {
    let (_observatory, address, health) = bare();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let slow = Check::blocking(move || {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(MS(50));
        HealthStatus::Healthy
    });
    health.register("slow", slow).unwrap();
    until("a result", || {
        check_of(&health, "slow").status == CheckState::Healthy
    });
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(code(address, "/health"), 200);
            begun.elapsed()
        })
        .collect();
    times.sort();
    assert_eq!(runs.load(Ordering::Relaxed), 1, "requests run no check");
    // The whole exchange over a new connection, in a debug build on a busy machine.
    assert!(times[0] < MS(5), "the fastest of 50: {:?}", times[0]);
}

#[cfg(feature = "alerting")]
#[test]
fn details_are_hidden_from_callers_without_the_token() {
    let mut config = config();
    config.health.details = HealthDetails::Authenticated;
    let error = config.validate().unwrap_err().to_string();
    assert_eq!(
        error,
        "health.details is \"authenticated\", but must be `always`, or alerting.api_token (OBSERVATORY_TOKEN) must be set"
    );
    config.alerting.api_token = Some("s3cret-token".into());
    let (observatory, address) = build(config);
    let health = observatory.health();
    health
        .register_with(
            "database",
            Check::blocking(|| Err::<(), _>("refused by 10.0.0.7")),
            once(),
        )
        .unwrap();
    until("a result", || {
        check_of(&health, "database").status == CheckState::Unhealthy
    });
    for form in ["json", "health", "text"] {
        let path = format!("/health?format={form}");
        let (head, hidden) = get(address, &path, "");
        let hidden = String::from_utf8(hidden).unwrap();
        assert!(head.starts_with("http/1.0 503"), "{head}");
        assert!(
            !hidden.contains("10.0.0.7") && !hidden.contains("database"),
            "{hidden}"
        );
        let (_, shown) = get(address, &path, "authorization: Bearer s3cret-token\r\n");
        assert!(String::from_utf8(shown).unwrap().contains("10.0.0.7"));
    }
    assert_eq!(code(address, "/api/observatory/health/history"), 401);
    let status = String::from_utf8(get(address, "/status", "").1).unwrap();
    assert!(
        !status.contains("10.0.0.7") && !status.contains("database"),
        "{status}"
    );
}

#[test]
fn changes_become_history_and_metrics_and_a_removed_check_leaves_no_status() {
    use CheckState::{Healthy, Pending, Unhealthy};
    let (observatory, address, health) = bare();
    let is_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&is_up);
    let flips = Check::blocking(move || up.load(Ordering::Acquire).then_some(()).ok_or("down"));
    health.register_with("flips", flips, once()).unwrap();
    let status = || {
        let text = observatory.export_metrics(llm_observatory::Format::Prometheus);
        let series = r#"observatory_health_status{check="flips"} "#;
        text.lines()
            .find_map(|line| line.strip_prefix(series))
            .map(str::to_owned)
    };
    for up in [true, false, true] {
        is_up.store(up, Ordering::Release);
        run_now(&health);
        assert_eq!(status().as_deref(), Some(if up { "1" } else { "0" }));
    }
    let history = health.history();
    let changes: Vec<_> = history
        .iter()
        .filter(|change| change.check == "flips")
        .map(|change| (change.from, change.to))
        .collect();
    assert_eq!(
        changes,
        [
            (Pending, Healthy),
            (Healthy, Unhealthy),
            (Unhealthy, Healthy)
        ]
    );
    let body = json(address, "/api/observatory/health/history");
    let last = body["changes"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["check"], &last["from"]),
        (&"flips".into(), &"unhealthy".into())
    );
    assert!(last["lasted_seconds"].as_f64().unwrap() < 20.0);
    health.remove("flips").unwrap();
    assert_eq!(status().as_deref(), Some("NaN"), "no rule fires on it");
}
