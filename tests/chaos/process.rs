//! Starts, commands, measures and kills the processes under attack.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The variable that makes this binary the process under attack.
pub(crate) const ROLE: &str = "CHAOS_ROLE";
/// The time limit for a start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A process under attack.
pub(crate) struct Victim {
    pub(crate) process: Process,
    pub(crate) commands: Commands,
    /// The address of the observatory's server.
    pub(crate) monitor: SocketAddr,
}

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

/// The commands of this binary's own victims.
pub(crate) struct Commands {
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Victim {
    /// Starts this binary as a victim with these variables, and waits until it listens.
    pub(crate) fn start(role: &str, variables: &[(&str, String)]) -> Result<Self, String> {
        Self::launch(Command::new(env::current_exe().unwrap()), role, variables)?.listening()
    }

    /// Starts this binary as a victim, without waiting.
    pub(crate) fn launch(
        mut command: Command,
        role: &str,
        variables: &[(&str, String)],
    ) -> Result<Starting, String> {
        command
            .env(ROLE, role)
            .env_remove("RUST_LOG")
            .envs(variables.iter().map(|(name, value)| (*name, value)));
        Starting::new(command)
    }

    /// Sends a command, and waits for its answer; `None` if the process has ended.
    pub(crate) fn ask(&mut self, command: &str) -> Option<String> {
        self.commands.ask(command)
    }
}

/// A process that has not reported its address yet.
pub(crate) struct Starting {
    process: Process,
    commands: Commands,
}

impl Starting {
    fn new(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let stdin = child.stdin.take().unwrap();
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let (mut stderr, written) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                written.lock().unwrap().push_str(&text);
            }
        });
        Ok(Self {
            process: Process { child, log },
            commands: Commands { stdin, lines },
        })
    }

    /// Waits until the process listens.
    pub(crate) fn listening(mut self) -> Result<Victim, String> {
        let end = Instant::now() + START_TIMEOUT;
        while Instant::now() < end {
            if let Ok(line) = self.commands.lines.recv_timeout(Duration::from_millis(50))
                && let Some(address) = line.strip_prefix("listening ")
            {
                let monitor = address
                    .parse()
                    .map_err(|error| format!("{address}: {error}"))?;
                return Ok(Victim {
                    process: self.process,
                    commands: self.commands,
                    monitor,
                });
            }
            if let Ok(Some(status)) = self.process.child.try_wait() {
                return Err(format!("ended with {status}: {}", self.process.log()));
            }
        }
        Err(format!("does not start: {}", self.process.log()))
    }

    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

impl Commands {
    /// Sends a command, and waits for its answer; `None` if the process has ended.
    pub(crate) fn ask(&mut self, command: &str) -> Option<String> {
        writeln!(self.stdin, "{command}").ok()?;
        loop {
            let line = self.lines.recv_timeout(Duration::from_mins(10)).ok()?;
            if let Some(answer) = line.strip_prefix("done") {
                return Some(answer.trim().to_owned());
            }
        }
    }
}

impl Process {
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns the lines on standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns the resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The example `llm_router`, built beside this binary or named by `CHAOS_ROUTER`.
pub(crate) struct Router {
    pub(crate) process: Process,
    pub(crate) monitor: SocketAddr,
    _commands: Commands,
}

impl Router {
    /// Starts the example on free ports; `None` if it is not built.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let path = env::var_os("CHAOS_ROUTER").map_or_else(
            || {
                let own = env::current_exe().unwrap();
                own.ancestors().nth(2).unwrap().join("examples/llm_router")
            },
            PathBuf::from,
        );
        if !path.is_file() {
            let is_ci = env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "{} is missing", path.display());
            println!(
                "skipped: {} is missing: cargo build --all-features --example llm_router",
                path.display()
            );
            return None;
        }
        let mut command = Command::new(path);
        command
            .args(["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("RUST_LOG");
        let Starting { process, commands } = Starting::new(command).unwrap();
        let end = Instant::now() + START_TIMEOUT;
        loop {
            let log = process.log();
            let monitor = log.lines().find_map(|line| {
                let (_, address) = line.split_once("metrics  http://")?;
                address.strip_suffix("/metrics")?.parse().ok()
            });
            if let Some(monitor) = monitor {
                return Some(Self {
                    process,
                    monitor,
                    _commands: commands,
                });
            }
            assert!(
                Instant::now() < end,
                "the router does not start: {}",
                process.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends a request over a new connection; returns the status and the body.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    let end = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    // HTTP/1.0, so that a body of unknown length ends with the connection instead of chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 16_384]);
    loop {
        if Instant::now() > end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut buffer)? {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let split = answer.split_once("\r\n\r\n");
    match (status, split) {
        (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Returns a JSON answer with status 200.
pub(crate) fn json(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<Value> {
    let answer = request(address, method, path, body, Duration::from_secs(10));
    let (status, text) = answer.ok()?;
    (status == 200)
        .then(|| serde_json::from_str(&text).ok())
        .flatten()
}

/// Waits until a condition holds; returns whether it does.
pub(crate) fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A directory that is removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("observatory-chaos-{name}-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
