//! Tests built-in checks and dependencies on real files, sockets and limits.

use super::*;

#[test]
fn configured_dependencies_are_reached_or_degrade_the_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = listener.local_addr().unwrap();
    let server = multi_thread();
    let is_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&is_up);
    let models = move || {
        let up = up.load(Ordering::Acquire);
        async move {
            if up {
                (axum::http::StatusCode::OK, r#"{"data":[{"id":"m"}]}"#)
            } else {
                (axum::http::StatusCode::SERVICE_UNAVAILABLE, "")
            }
        }
    };
    let app = axum::Router::new().route("/v1/models", axum::routing::get(models));
    let http = server.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        address
    });
    let mut config = config();
    let quick = |dependency: DependencyConfig| dependency.with_retries(0).with_timeout(MS(2_000));
    for (name, dependency) in [
        ("tcp", DependencyConfig::tcp(tcp.to_string())),
        (
            "url",
            DependencyConfig::url(format!("http://{http}/v1/models")),
        ),
        (
            "openai",
            DependencyConfig::openai(format!("http://{http}/v1")).with_critical(true),
        ),
        ("dns", DependencyConfig::dns("localhost")),
        ("closed", DependencyConfig::tcp("127.0.0.1:1")),
    ] {
        config
            .health
            .dependencies
            .insert(name.to_owned(), quick(dependency));
    }
    config.health.connectivity = vec![format!("tcp://{tcp}"), "tcp://127.0.0.1:1".to_owned()];
    config
        .health
        .groups
        .insert("engines".to_owned(), vec!["openai".to_owned()]);
    let (observatory, address) = build(config);
    let health = observatory.health();
    run_now(&health);
    let of = |name: &str| check_of(&health, name);
    for name in ["tcp", "url", "openai", "dns"] {
        assert_eq!(
            of(name).status,
            CheckState::Healthy,
            "{name}: {}",
            of(name).message
        );
        assert_eq!(of(name).kind, CheckKind::Dependency);
    }
    assert_eq!(of("closed").status, CheckState::Unhealthy);
    assert!(
        of("closed").message.contains("refused"),
        "{}",
        of("closed").message
    );
    let connectivity = of("connectivity");
    assert_eq!(connectivity.status, CheckState::Degraded);
    assert!(
        connectivity.message.starts_with("tcp://127.0.0.1:1: "),
        "{}",
        connectivity.message
    );
    assert_eq!(health.report().status, HealthStatus::Degraded);
    assert_eq!(code(address, "/health/ready"), 200);
    assert_eq!(code(address, "/health/engines"), 200);
    is_up.store(false, Ordering::Release);
    run_now(&health);
    assert_eq!(of("url").message, "status 503 Service Unavailable");
    assert_eq!(health.report().status, HealthStatus::Unhealthy);
    assert_eq!(health.report().decided_by.as_deref(), Some("openai"));
    assert_eq!(code(address, "/health/engines"), 503);
    let invalid = Check::of(&DependencyTarget::Url("nowhere".to_owned())).unwrap_err();
    assert!(invalid.to_string().contains("a URL such as"), "{invalid}");
}

#[test]
fn a_disabled_health_registers_nothing_and_stays_healthy() {
    let mut config = config();
    config.health.enabled = false;
    let (observatory, address) = build(config);
    let health = observatory.health();
    health
        .register("database", Check::blocking(|| Err::<(), _>("down")))
        .unwrap();
    assert!(health.names().is_empty());
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/health/startup",
    ] {
        assert_eq!(code(address, path), 200, "{path}");
    }
}

/// Mounts a small file system, or returns `None` with a message if the test may not.
#[cfg(target_os = "linux")]
fn mount(options: &str) -> Option<Mount> {
    let path = std::env::temp_dir().join(format!("obs-disk-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(&path)
        .output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(Mount(path));
    }
    eprintln!("skipped: mounting a file system needs root and CAP_SYS_ADMIN");
    None
}

#[cfg(target_os = "linux")]
struct Mount(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_disk_check_follows_a_file_system_that_fills_up() {
    let Some(mount) = mount("size=1m,nr_inodes=200") else {
        return;
    };
    let mut config = config();
    config.health.disk_paths.push(mount.0.clone());
    config.health.thresholds.disk_percent = 90.0;
    let (observatory, _) = build(config);
    let health = observatory.health();
    let name = mount.0.display().to_string();
    // The file systems of the machine that runs the test may be full, too; this file system is what the test looks at.
    let of = |what: &str, percent: f64| {
        run_now(&health);
        let check = check_of(&health, "disk");
        let key = format!("{name}: {what}_used_percent");
        let used = check.data.get(&key).cloned();
        let Some(llm_observatory::AttributeValue::Number(used)) = used else {
            panic!("{key} is not in {:?}", check.data);
        };
        assert!(
            (used - percent).abs() < 2.0,
            "{used} % instead of {percent} %"
        );
        (check.status, check.message.contains(&name))
    };
    assert!(!of("space", 0.0).1);
    let fill = |kib: usize| std::fs::write(mount.0.join("file"), vec![1_u8; kib << 10]).unwrap();
    fill(960);
    let (status, is_named) = of("space", 93.75);
    assert!(status >= CheckState::Degraded && is_named);
    fill(1_012);
    assert_eq!(of("space", 98.8), (CheckState::Unhealthy, true));
    let whole = health.report();
    assert_eq!(
        whole.status,
        HealthStatus::Degraded,
        "the check is not critical"
    );
    fill(0);
    assert!(!of("space", 0.0).1);
    let files = 0..;
    let created =
        files.take_while(|number| std::fs::write(mount.0.join(number.to_string()), "").is_ok());
    assert!(created.count() > 150);
    assert_eq!(of("inodes", 100.0), (CheckState::Unhealthy, true));
    for entry in std::fs::read_dir(&mount.0).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert!(!of("inodes", 0.0).1);
}

/// Runs in a process of its own, since the limit holds for the whole process.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the_process_check_follows_the_descriptors runs it"]
fn descriptors_of_this_process() {
    let (observatory, _) = build(config());
    let health = observatory.health();
    let state = || {
        run_now(&health);
        check_of(&health, "process")
    };
    assert_eq!(state().status, CheckState::Healthy, "{}", state().message);
    let mut files = Vec::new();
    let mut open = |until: f64| {
        while let Some(llm_observatory::AttributeValue::Integer(open)) =
            state().data.get("open_descriptors").cloned()
            && (open as f64) < until * 256.0
        {
            match std::fs::File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(_) => break,
            }
        }
        state()
    };
    let check = open(0.95);
    assert_eq!(check.status, CheckState::Degraded, "{}", check.message);
    assert!(
        check.message.contains("of the file descriptors in use"),
        "{}",
        check.message
    );
    let check = open(2.0);
    assert_eq!(check.status, CheckState::Unhealthy, "{}", check.message);
    assert_eq!(
        check.message,
        "100.0 % of the file descriptors in use (limit 98 %)"
    );
    files.clear();
    assert_eq!(state().status, CheckState::Healthy);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_check_follows_the_descriptors() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 256; exec \"$0\" --exact health::built_in::descriptors_of_this_process --ignored",
        ])
        .arg(program)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Runs in a process of its own, which is the only process of its cgroup.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the_process_check_follows_the_memory_of_a_cgroup_of_version_1 runs it"]
fn memory_of_this_cgroup() {
    let mut config = config();
    config.health.thresholds.memory_percent = 90.0;
    let (observatory, _) = build(config);
    let health = observatory.health();
    let state = || {
        run_now(&health);
        check_of(&health, "process")
    };
    assert_eq!(state().status, CheckState::Healthy, "{}", state().message);
    let mut blocks = Vec::new();
    // A block is half a percent of the limit.
    let mut fill_until = |wanted: CheckState| {
        for _ in 0..200 {
            let check = state();
            if check.status == wanted {
                return check;
            }
            blocks.push(vec![1_u8; (CGROUP_MIB << 20) / 200]);
        }
        panic!("{:?}", state());
    };
    let check = fill_until(CheckState::Degraded);
    assert!(
        check.message.contains("of the cgroup's memory in use"),
        "{}",
        check.message
    );
    assert_eq!(
        check.data.get("cgroup_memory_max_bytes"),
        Some(&((CGROUP_MIB << 20) as u64).into())
    );
    let check = fill_until(CheckState::Unhealthy);
    assert!(
        check
            .message
            .contains("of the cgroup's memory in use (limit 98 %)"),
        "{}",
        check.message
    );
    blocks.clear();
    assert_eq!(state().status, CheckState::Healthy, "{}", state().message);
}

#[cfg(target_os = "linux")]
const CGROUP_MIB: usize = 256;

/// A cgroup of version 1, which is removed at the end.
#[cfg(target_os = "linux")]
struct MemoryGroup(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl MemoryGroup {
    /// Returns `None` with a message if the test may not create the group.
    fn new() -> Option<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let of_memory = |line: &str| Some(line.split_once(":memory:/")?.1.to_owned());
        let parent = groups.lines().find_map(of_memory);
        let path = parent.map(|parent| {
            let name = format!("obs-memory-{}", std::process::id());
            std::path::Path::new("/sys/fs/cgroup/memory")
                .join(parent)
                .join(name)
        });
        let group = path
            .filter(|path| std::fs::create_dir(path).is_ok())
            .map(Self);
        let limited = group.filter(|group| {
            let limit = (CGROUP_MIB << 20).to_string();
            std::fs::write(group.0.join("memory.limit_in_bytes"), limit).is_ok()
        });
        if limited.is_none() {
            eprintln!("skipped: a cgroup of version 1 needs its file system and root");
        }
        limited
    }
}

#[cfg(target_os = "linux")]
impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_check_follows_the_memory_of_a_cgroup_of_version_1() {
    let Some(group) = MemoryGroup::new() else {
        return;
    };
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "echo $$ >\"$1/cgroup.procs\"; exec \"$0\" --exact health::built_in::memory_of_this_cgroup --ignored",
        ])
        .arg(program)
        .arg(&group.0)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_cpu_check_follows_threads_that_take_all_cores() {
    let mut config = config();
    config.health.thresholds.cpu_percent = 95.0;
    let (observatory, _) = build(config);
    let health = observatory.health();
    let wait_for = |wanted: CheckState| {
        // Other tests take the CPU, too.
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            std::thread::sleep(MS(300));
            run_now(&health);
            let check = check_of(&health, "cpu");
            if check.status == wanted {
                return check;
            }
            assert!(Instant::now() < until, "{}", check.message);
        }
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().unwrap().get();
    let burn = || {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || while !is_over.load(Ordering::Relaxed) {})
    };
    let threads: Vec<_> = (0..2 * cores).map(|_| burn()).collect();
    let check = wait_for(CheckState::Degraded);
    assert!(
        check.message.contains("of the CPU in use"),
        "{}",
        check.message
    );
    is_over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    wait_for(CheckState::Healthy);
}

#[cfg(feature = "alerting")]
mod alerting {
    use llm_observatory::{HttpRequest, alerting::AlertState};

    use super::*;
    use crate::alerts_support::{quiet, watched};

    #[test]
    fn the_default_rule_fires_on_a_failed_check_and_resolves() {
        let watched = watched(quiet());
        let health = watched.observatory.health();
        let is_up = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&is_up);
        let check = Check::blocking(move || up.load(Ordering::Acquire).then_some(()).ok_or("down"));
        let every = CheckOptions::default()
            .with_interval(Duration::from_secs(10))
            .with_retries(0);
        health.register_with("database", check, every).unwrap();
        watched.pass(Duration::from_secs(40));
        let state = || watched.state_of("system_health_degraded");
        assert_eq!(state(), Some(AlertState::Pending));
        watched.tick_until("the alert", || state() == Some(AlertState::Firing));
        is_up.store(true, Ordering::Release);
        watched.tick_until("the end of the alert", || state().is_none());
    }

    #[test]
    fn failed_and_slow_requests_degrade_their_checks_until_they_leave_the_window() {
        let watched = watched(quiet());
        let health = watched.observatory.health();
        watched.tick();
        let states = || {
            run_now(&health);
            ["error_rate", "response_time"].map(|name| check_of(&health, name))
        };
        let quiet = states();
        assert!(
            quiet
                .iter()
                .all(|check| check.status == CheckState::Healthy)
        );
        assert!(
            quiet[0].message.starts_with("fewer than 20 requests"),
            "{}",
            quiet[0].message
        );
        for number in 0..40 {
            watched.observatory.record_http_request(HttpRequest {
                method: "POST",
                route: "/v1/chat/completions",
                status_code: Some(if number % 4 == 0 { 503 } else { 200 }),
                duration: Duration::from_secs(9),
                ..HttpRequest::default()
            });
        }
        watched.pass(Duration::from_secs(30));
        let [errors, times] = states();
        assert_eq!(errors.status, CheckState::Degraded, "{}", errors.message);
        assert_eq!(
            errors.message,
            "25.0 % of the requests of the last 5 minutes failed (limit 5 %)"
        );
        assert_eq!(times.status, CheckState::Degraded, "{}", times.message);
        watched.pass(Duration::from_mins(6));
        assert!(
            states()
                .iter()
                .all(|check| check.status == CheckState::Healthy)
        );
    }
}
