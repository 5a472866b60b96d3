//! Measures the throughput of the example router under wrk, with the observatory on and off.
//!
//! Both routers run all the time, and are loaded in turns A B B A. Requests per second depend on other load of the
//! machine; the CPU time per request of the router's process does not, so both are reported.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::param::clock_ticks_per_second;

use crate::{Failure, statistics::Median};

/// The command that builds the router.
pub(crate) const BUILD: &str = "cargo build --release --all-features --example llm_router";

const PAIRS: usize = 12;
const SECONDS: u32 = 2;
const CONNECTIONS: &str = "128";

/// Factors by which the router's engines are faster than real engines, with the limiting resource.
pub(crate) const LOADS: [(&str, &str); 2] = [
    ("20", "engines are the limit"),
    ("1000", "the machine is the limit"),
];

/// A streamed answer of 64 tokens.
pub(crate) const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"model":"auto","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"What does a monitoring system do?"}]}'
"#;

/// The figures with the observatory on, beside off.
pub(crate) struct Compared {
    pub(crate) off_per_second: Median,
    pub(crate) on_per_second: Median,
    /// Ratio of on to off, in the same pair.
    pub(crate) throughput: Median,
    /// Requests per second of the router's CPU time, on to off.
    pub(crate) per_cpu_second: Median,
}

/// A running example router, which is stopped on drop.
pub(crate) struct Router {
    pub(crate) process: Child,
    pub(crate) url: String,
}

impl Drop for Router {
    fn drop(&mut self) {
        // The process may have ended already; it is waited for in either case.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Router {
    /// Starts a router with this speed of the engines; `adapt` changes its command.
    pub(crate) fn start(speed: &str, adapt: impl FnOnce(&mut Command)) -> Result<Self, Failure> {
        let example =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/examples/llm_router");
        if !example.exists() {
            return Err(format!("build it first: {BUILD}").into());
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new(example);
        command
            .args(["--no-client", "--speed", speed, "--listen", &address])
            .args(["--monitor", "127.0.0.1:0"])
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        adapt(&mut command);
        let process = command.spawn()?;
        let router = Self {
            process,
            url: format!("http://{address}/v1/chat/completions"),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(&address).is_err() {
            if Instant::now() > deadline {
                return Err("the router does not start".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(router)
    }

    /// Returns the requests per second, and per second of the process's CPU time.
    fn load(&self, script: &Path) -> Result<(f64, f64), Failure> {
        let before = self.cpu_seconds()?;
        let output = Command::new("wrk")
            .args(["--threads", "1", "--connections", CONNECTIONS])
            .args(["--duration", &format!("{SECONDS}s"), "--script"])
            .arg(script)
            .arg(&self.url)
            .output()?;
        let used = self.cpu_seconds()? - before;
        let text = String::from_utf8(output.stdout)?;
        let field = |line: &str, name: &str| {
            let rest = line.trim().strip_prefix(name)?;
            rest.trim().parse::<f64>().ok()
        };
        let per_second = text
            .lines()
            .find_map(|line| field(line, "Requests/sec:"))
            .ok_or_else(|| text.clone())?;
        let done: f64 = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
            .ok_or_else(|| text.clone())?;
        Ok((per_second, done / used))
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // After the name in brackets, the state is the first field, user and system time are the twelfth and
        // thirteenth.
        let (_, fields) = stat.rsplit_once(')').ok_or("no /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |place: usize| {
            fields
                .get(place)
                .and_then(|field| field.parse::<f64>().ok())
        };
        let ticks = ticks(11).zip(ticks(12)).ok_or("no /proc/PID/stat")?;
        Ok((ticks.0 + ticks.1) / clock_ticks_per_second() as f64)
    }
}

/// Compares on and off at this speed of the engines.
pub(crate) fn compare(speed: &str) -> Result<Compared, Failure> {
    let mut script = tempfile::NamedTempFile::new()?;
    script.write_all(SCRIPT.as_bytes())?;
    let start = |is_on: &str| {
        Router::start(speed, |command| {
            command.env("OBSERVATORY_ENABLED", is_on);
        })
    };
    let (off, on) = (start("false")?, start("true")?);
    // Both are warm.
    off.load(script.path())?;
    on.load(script.path())?;
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    let (mut throughput, mut per_cpu_second) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (a, b) = (off.load(script.path())?, on.load(script.path())?);
        let (c, d) = (on.load(script.path())?, off.load(script.path())?);
        offs.push(f64::midpoint(a.0, d.0));
        ons.push(f64::midpoint(b.0, c.0));
        throughput.push((b.0 + c.0) / (a.0 + d.0));
        per_cpu_second.push((b.1 + c.1) / (a.1 + d.1));
    }
    Ok(Compared {
        off_per_second: Median::of(offs),
        on_per_second: Median::of(ons),
        throughput: Median::of(throughput),
        per_cpu_second: Median::of(per_cpu_second),
    })
}
