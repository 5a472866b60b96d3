//! Measures the example router under wrk, from the observatory off to everything on, and without load.
//!
//! A router of each configuration runs all the time, and all are loaded in turns, in one order and then in the other.
//! Requests per second depend on other load of the machine; the CPU time per request of the router's process depends on
//! it less, so both are reported.

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

use crate::{
    Failure,
    collector::{Collector, Manner},
    statistics::Median,
};

/// The command that builds the router.
pub(crate) const BUILD: &str = "cargo build --release --all-features --example llm_router";

/// Turns of each configuration.
const ROUNDS: usize = 12;
/// The time without load, after the start has settled.
const IDLE: Duration = Duration::from_secs(30);
const SETTLING: Duration = Duration::from_secs(10);
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

/// A configuration of the router: its name, and its environment.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    /// Whether spans go to a collector on this machine.
    exports: bool,
    environment: &'static [(&'static str, &'static str)],
}

/// Every configuration; the first is the one that the others are compared with.
const SETTINGS: [Setting; 5] = [
    Setting {
        name: "off (`OBSERVATORY_ENABLED=false`)",
        exports: false,
        environment: &[("OBSERVATORY_ENABLED", "false")],
    },
    Setting {
        name: "metrics, no traces",
        exports: false,
        environment: &[("OTEL_TRACES_EXPORTER", "none")],
    },
    Setting {
        name: "traces, 0 % sampled",
        exports: true,
        environment: &[("OTEL_TRACES_SAMPLER", "always_off")],
    },
    Setting {
        name: "traces, 10 % over OTLP, and the live view",
        exports: true,
        environment: &[
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
        ],
    },
    Setting {
        name: "everything on: the live view of 100 %, no exporter",
        exports: false,
        environment: &[("OTEL_TRACES_SAMPLER", "always_on")],
    },
];

/// The maximum CPU time per request, relative to off. Reported, since it depends on the machine.
const TARGETS: [Option<f64>; SETTINGS.len()] = [None, None, Some(1.15), Some(1.2), Some(1.5)];

/// The figures of one configuration.
pub(crate) struct Compared {
    pub(crate) name: &'static str,
    pub(crate) per_second: Median,
    pub(crate) cpu_microseconds: Median,
    /// CPU time per request and throughput, relative to off in the same round.
    pub(crate) cpu: Median,
    pub(crate) throughput: Median,
    pub(crate) target: Option<f64>,
}

/// The cost of everything on without load.
pub(crate) struct Idle {
    /// CPU time per second, of one core, beyond that of the router with the observatory off.
    pub(crate) cpu_percent: f64,
    pub(crate) resident_megabytes: f64,
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

    fn resident_bytes(&self) -> Result<f64, Failure> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.process.id()))?;
        let pages = statm.split(' ').nth(1).ok_or("no /proc/PID/statm")?;
        Ok(pages.parse::<f64>()? * rustix::param::page_size() as f64)
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

/// Builds the router.
pub(crate) fn build() -> Result<(), Failure> {
    let mut words = BUILD.split(' ');
    let mut command = Command::new(words.next().ok_or("no command")?);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = command.args(words).current_dir(folder).status()?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("{BUILD}: {status}").into())
}

fn start(setting: Setting, speed: &str, collector: &Collector) -> Result<Router, Failure> {
    Router::start(speed, |command| {
        command.envs(setting.environment.iter().copied());
        if setting.exports {
            let endpoint = format!("http://{}", collector.address);
            command
                .env("OTEL_TRACES_EXPORTER", "otlp")
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        }
    })
}

/// Compares all configurations at this speed of the engines.
pub(crate) fn compare(speed: &str) -> Result<Vec<Compared>, Failure> {
    let mut script = tempfile::NamedTempFile::new()?;
    script.write_all(SCRIPT.as_bytes())?;
    let collector = Collector::start(Manner::Takes, |_| 0)?;
    let routers: Vec<Router> = SETTINGS
        .into_iter()
        .map(|setting| start(setting, speed, &collector))
        .collect::<Result<_, _>>()?;
    // Every router is warm.
    for router in &routers {
        router.load(script.path())?;
    }
    let mut turns = vec![Vec::new(); SETTINGS.len()];
    for round in 0..ROUNDS {
        for place in 0..SETTINGS.len() {
            let last = SETTINGS.len() - 1;
            let place = if round % 2 == 0 { place } else { last - place };
            turns[place].push(routers[place].load(script.path())?);
        }
    }
    let compared = SETTINGS.iter().zip(TARGETS).zip(&turns);
    let compared = compared.map(|((setting, target), own)| {
        let each = |of: fn(&(f64, f64)) -> f64| Median::of(own.iter().map(of).collect());
        let beside = |of: fn(&(f64, f64)) -> f64| {
            let pairs = own.iter().zip(&turns[0]);
            Median::of(pairs.map(|(own, off)| of(own) / of(off)).collect())
        };
        Compared {
            name: setting.name,
            per_second: each(|turn| turn.0),
            cpu_microseconds: each(|turn| 1e6 / turn.1),
            cpu: beside(|turn| 1.0 / turn.1),
            throughput: beside(|turn| turn.0),
            target,
        }
    });
    Ok(compared.collect())
}

/// Measures everything on without load, beside off.
pub(crate) fn idle() -> Result<Idle, Failure> {
    let collector = Collector::start(Manner::Takes, |_| 0)?;
    let measured = [SETTINGS[0], SETTINGS[SETTINGS.len() - 1]]
        .map(|setting| start(setting, "1", &collector))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    thread::sleep(SETTLING);
    let cpu = |router: &Router| router.cpu_seconds();
    let before = measured.iter().map(cpu).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(IDLE);
    let after = measured.iter().map(cpu).collect::<Result<Vec<_>, _>>()?;
    let resident = measured.iter().map(Router::resident_bytes);
    let resident = resident.collect::<Result<Vec<_>, _>>()?;
    let used = |place: usize| (after[place] - before[place]) / IDLE.as_secs_f64();
    Ok(Idle {
        cpu_percent: 100.0 * (used(1) - used(0)),
        resident_megabytes: (resident[1] - resident[0]) / 1e6,
    })
}
