//! Tests the server under hostile clients, and measures a running process under the same clients.
#![cfg(all(feature = "server", feature = "alerting"))]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use llm_observatory::{Config, Observatory};
use tracing_subscriber::Registry;

use super::attackers::{Attack, Probes, probe, resident_bytes};

/// A query for every series.
const ALL: &str = "%7B__name__%3D~%22.%2B%22%7D";
const SECOND: Duration = Duration::from_secs(1);

fn serving(change: impl FnOnce(&mut Config)) -> (Observatory, SocketAddr) {
    let mut config = Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_series_limit(100_000);
    change(&mut config);
    let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    let address = observatory.listen_address().unwrap();
    (observatory, address)
}

/// Adds a metric with this many series.
fn add_series(observatory: &Observatory, count: usize) {
    for user in 0..count {
        metrics::with_local_recorder(&observatory.recorder(), || {
            metrics::counter!("hits", "user" => user.to_string()).increment(1);
        });
    }
}

/// Waits until a condition holds.
fn wait_for(what: &str, mut is_met: impl FnMut() -> bool) {
    let patience = Instant::now() + 20 * SECOND;
    while !is_met() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the head and the body of the answer to a whole request.
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(20 * SECOND)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn get(address: SocketAddr, path: &str, headers: &str) -> (String, String) {
    ask(address, &format!("GET {path} HTTP/1.0\r\n{headers}\r\n"))
}

/// The value of a series in the exposition.
fn metric(observatory: &Observatory, series: &str) -> f64 {
    let text = observatory.export_metrics(llm_observatory::Format::Prometheus);
    let found = text.lines().find_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        name.starts_with(series).then(|| value.parse().unwrap())
    });
    found.unwrap_or_default()
}

/// The path of a range query for the last samples of a selector at this many steps.
fn range_of(selector: &str, steps: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // The end of this second, so that the latest samples are not after the end.
    let end = now.as_secs() + 1;
    let start = end - steps;
    format!("/api/v1/query_range?query={selector}%20%40%20end()&start={start}&end={end}&step=1")
}

fn starvation() -> [(Attack, usize); 5] {
    [
        (Attack::Idle, 300),
        (Attack::SlowHead, 200),
        (Attack::SlowBody, 80),
        (Attack::Pipelined("/metrics".to_owned()), 30),
        (Attack::Unread("/metrics".to_owned()), 80),
    ]
}

#[test]
fn metrics_and_health_are_answered_under_each_starvation_attack() {
    for (attack, clients) in starvation() {
        let (observatory, address) = serving(|_| {});
        add_series(&observatory, 5_000);
        let name = format!("{attack:?}");
        let attack = attack.start(address, clients);
        wait_for(&name, || attack.opened() >= clients);
        for path in ["/health", "/metrics"] {
            let probes = Probes::take(address, path, 5);
            assert_eq!(probes.failed, 0, "{name}: {path}: {probes:?}");
        }
    }
}

#[test]
fn a_query_beyond_the_memory_of_all_queries_is_refused() {
    let (observatory, address) = serving(|config| {
        config.tick = Duration::from_millis(100);
        config.query.max_memory = 2 << 20;
    });
    add_series(&observatory, 200);
    let count = "/api/v1/query?query=count(hits_total)";
    wait_for("200 series", || {
        get(address, count, "").1.contains("\"200\"")
    });
    let (head, body) = get(address, &range_of("hits_total", 700), "");
    assert!(head.starts_with("http/1.0 503"), "{head}");
    for part in [
        "\"errorType\":\"execution\"",
        "query.max_memory",
        "OBSERVATORY_QUERY_MAX_MEMORY",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let (head, body) = get(address, &range_of("hits_total", 500), "");
    assert!(
        head.starts_with("http/1.0 200") && body.ends_with("]}]}}"),
        "{head} {body}"
    );
    // A list of samples is encoded in pieces, as series are; the text is whole.
    let (head, body) = get(address, &format!("/api/v1/query?query={ALL}%5B1h%5D"), "");
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(
        head.starts_with("http/1.0 200")
            && parsed["data"]["result"].as_array().unwrap().len() > 200,
        "{head}"
    );
    let refused = "observatory_server_refused_requests_total{";
    assert_eq!(metric(&observatory, refused), 1.0);
    assert_eq!(observatory.status().refused_requests, 1);
    // Rules and the application have their own memory.
    observatory
        .query("count(hits_total)", SystemTime::now())
        .unwrap();
}

#[test]
fn an_unread_answer_keeps_its_memory_until_the_write_timeout_only() {
    let (observatory, address) = serving(|config| {
        config.tick = Duration::from_millis(100);
        config.query.max_memory = 20 << 20;
        config.server.write_timeout = 8 * SECOND;
    });
    add_series(&observatory, 100);
    let count = "/api/v1/query?query=count(hits_total)";
    wait_for("100 series", || {
        get(address, count, "").1.contains("\"100\"")
    });
    // 14 MB of samples and 22 MB of text, so that the buffers of a connection hold a part of the answer only.
    let large = range_of("hits_total", 9_000);
    let mut unread = TcpStream::connect(address).unwrap();
    write!(unread, "GET {large} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let held = || metric(&observatory, "observatory_query_bytes");
    // Not earlier: while both queries are evaluated, the first can be the one that is refused.
    let mut before = 0.0;
    wait_for("the answer waits for its client", || {
        std::thread::sleep(SECOND / 2);
        let now = held();
        std::mem::replace(&mut before, now) == now && now > 1e6
    });
    let is_refused = || get(address, &large, "").0.starts_with("http/1.0 503");
    wait_for("a second answer does not fit", is_refused);
    wait_for("the connection is closed", || {
        metric(
            &observatory,
            "observatory_server_closed_connections_total{reason=\"write_timeout\"",
        ) >= 1.0
    });
    wait_for("the memory returns", || held() == 0.0);
    assert!(get(address, &large, "").0.starts_with("http/1.0 200"));
}

#[test]
fn a_head_and_a_body_must_arrive_within_the_read_timeout() {
    let (observatory, address) = serving(|config| {
        config.server.read_timeout = Duration::from_millis(300);
    });
    let post = |length: usize, body: &str| {
        format!(
            "POST /api/v1/query HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}"
        )
    };
    let (head, body) = ask(address, &post(7, "query=1"));
    assert!(head.starts_with("http/1.1 200"), "{head} {body}");
    let (head, body) = ask(address, &post(8, "query=1"));
    assert!(
        head.starts_with("http/1.1 408") && body.contains("server.read_timeout"),
        "{head} {body}"
    );
    // 64 KiB, and three bytes for each byte of the longest query.
    let limit = 64 * 1024 + 3 * observatory.config().query.max_query_bytes;
    let padded = |length: usize| format!("query=1&x={}", "y".repeat(length - 10));
    let (head, _) = ask(address, &post(limit, &padded(limit)));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (head, _) = ask(address, &post(limit + 1, ""));
    assert!(head.starts_with("http/1.1 413"), "{head}");
    let mut half = TcpStream::connect(address).unwrap();
    half.set_read_timeout(Some(20 * SECOND)).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    assert_eq!(half.read(&mut [0; 1024]).unwrap_or(0), 0);
    let closed = "observatory_server_closed_connections_total{reason=\"read_timeout\"";
    wait_for("counted", || metric(&observatory, closed) == 1.0);
}

#[test]
fn browsers_reach_the_api_under_known_names_only() {
    let (observatory, address) = serving(|config| {
        *config = std::mem::take(config).with_allowed_hosts(["router:9090"]);
        config.alerting.external_url = Some("https://obs.example/x".to_owned());
        config.alerting.api_token = Some(llm_observatory::Secret::new("canary"));
    });
    let status = |path: &str, headers: &str| {
        let (head, body) = get(address, path, headers);
        (head.split(' ').nth(1).unwrap().to_owned(), body)
    };
    // A scrape by the address of a pod and by the name of a service, and a probe.
    for host in ["10.1.2.3:9090", "router.monitoring.svc:9090", "anything"] {
        for path in ["/metrics", "/health"] {
            assert_eq!(
                status(path, &format!("host: {host}\r\n")).0,
                "200",
                "{host}{path}"
            );
        }
    }
    let guarded = [
        "/",
        "/status",
        "/api/v1/query?query=1",
        "/api/observatory/alerts",
    ];
    for path in guarded {
        // The second is the host of Grafana's data source, once it is listed.
        for host in ["127.0.0.1:9090", "router:9090", "localhost", "obs.example"] {
            assert_eq!(
                status(path, &format!("host: {host}\r\n")).0,
                "200",
                "{host}{path}"
            );
        }
        let (refused, body) = status(path, "host: rebound.example:9090\r\n");
        assert!(
            refused == "421" && body.contains("server.allowed_hosts"),
            "{path}: {body}"
        );
        let foreign = "host: 127.0.0.1:9090\r\norigin: http://evil.example\r\n";
        assert_eq!(status(path, foreign).0, "403", "{path}");
        let own = "host: 127.0.0.1:9090\r\norigin: http://127.0.0.1:9090\r\n";
        assert_eq!(status(path, own).0, "200", "{path}");
        let token = "host: elsewhere.example\r\nauthorization: Bearer canary\r\n";
        assert_eq!(status(path, token).0, "200", "{path}");
    }
    let (_, body) = status("/dashboard/traces", "host: rebound.example\r\n");
    assert!(!body.contains("<script"), "{body}");
    let silence = "POST /api/observatory/silences HTTP/1.0\r\nhost: rebound.example\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{}";
    assert!(ask(address, silence).0.starts_with("http/1.0 421"));
    let refused = "observatory_server_refused_requests_total{reason=\"host\"";
    assert!(metric(&observatory, refused) >= 5.0);
}

#[cfg(all(feature = "otlp", feature = "http"))]
#[tokio::test]
async fn mounted_endpoints_check_names_once_they_are_listed() {
    use tower::ServiceExt as _;
    for (listed, expected) in [(None, 200), (Some("router"), 421)] {
        let config = Config::default()
            .without_server()
            .with_allowed_hosts(listed);
        let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
        let request = http::Request::builder()
            .uri("/status")
            .header("host", "app.example")
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = observatory.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{listed:?}");
    }
}

/// Prints the memory of a running process and the times of its answers under each attack:
/// `PROBES=100 ATTACKED=127.0.0.1:9090,PID cargo test --all-features --test it -- --ignored --nocapture measure`
#[test]
#[ignore = "needs a running process"]
#[expect(clippy::print_stdout, reason = "the measurement is the output")]
fn measure_a_process_under_attack() {
    let target = std::env::var("ATTACKED").unwrap();
    let (address, process) = target.split_once(',').unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let process: u32 = process.parse().unwrap();
    let count = std::env::var("PROBES").map_or(100, |count| count.parse().unwrap());
    let megabytes = || resident_bytes(process).unwrap() as f64 / f64::from(1 << 20);
    let peak_of = |work: &mut dyn FnMut()| {
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut peak = megabytes();
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    peak = megabytes().max(peak);
                    std::thread::sleep(Duration::from_millis(20));
                }
                peak
            });
            work();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            watch.join().unwrap()
        })
    };
    let report = |name: &str, hold: Duration, attacks: Vec<(Attack, usize)>| {
        let before = megabytes();
        let mut figures = Vec::new();
        let peak = peak_of(&mut || {
            let held: Vec<_> = attacks
                .iter()
                .map(|(attack, clients)| attack.clone().start(address, *clients))
                .collect();
            std::thread::sleep(hold);
            for path in ["/metrics", "/health"] {
                let probes = Probes::take(address, path, count);
                let total = probes.failed + probes.times.len();
                let (p50, p99) = (probes.quantile(0.5), probes.quantile(0.99));
                figures.push(format!(
                    "{path} {} of {total}, p50 {p50:.1?}, p99 {p99:.1?}",
                    probes.times.len()
                ));
            }
            drop(held);
        });
        println!(
            "{name}: {before:.0} -> {peak:.0} MiB ({:.0} after); {}",
            megabytes(),
            figures.join("; ")
        );
    };
    let window = format!("/api/v1/query?query={ALL}%5B1h%5D");
    let steps = range_of(ALL, 9_000);
    let hold = 3 * SECOND;
    report("calm", hold, Vec::new());
    let once = peak_of(&mut || drop(probe(address, &window, 30 * SECOND)));
    println!("one [1h] of all series: peak {once:.0} MiB");
    let rss = [(Attack::Unread(window), 12), (Attack::Unread(steps), 12)];
    let starving = [
        (Attack::SlowHead, 500),
        (Attack::Idle, 2_000),
        (Attack::Pipelined("/metrics".to_owned()), 30),
        (Attack::SlowBody, 64),
    ];
    for (attack, clients) in rss.iter().chain(&starving) {
        let name = format!("{clients} x {attack:.40?}");
        report(&name, 2 * hold, vec![(attack.clone(), *clients)]);
    }
    report(
        "all at once",
        2 * hold,
        [rss.to_vec(), starving.to_vec()].concat(),
    );
}
