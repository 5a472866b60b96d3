//! Hostile clients over plain sockets, and a client that measures the server meanwhile.
//!
//! Each attack holds a number of connections from a thread of its own, and opens a new one for each that the server
//! closes, at a bounded rate. It works against any address, so that the same attacks measure a test's server and a running process.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The interval at which an attack looks after its connections.
const ROUND: Duration = Duration::from_millis(50);
/// The connections that an attack opens in a round: a thousand in a second.
const OPENED_PER_ROUND: usize = 50;
/// The number of requests that a pipelining client sends at once.
const PIPELINED: usize = 200;

/// The behaviour of hostile clients.
#[derive(Clone, Debug)]
pub(crate) enum Attack {
    /// Connects and sends nothing.
    Idle,
    /// Sends the head of a request a byte at a time, and never the whole.
    SlowHead,
    /// Announces a body and sends it a byte at a time.
    SlowBody,
    /// Sends a request for this path and does not read the answer.
    Unread(String),
    /// Sends many requests for this path at once and reads no answer.
    Pipelined(String),
}

/// A running attack; it ends when this value is dropped.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Attack {
    /// Starts this many clients.
    pub(crate) fn start(self, address: SocketAddr, clients: usize) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let opened = Arc::new(AtomicUsize::new(0));
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&opened));
        let thread = std::thread::spawn(move || {
            let mut connections: Vec<Option<TcpStream>> = (0..clients).map(|_| None).collect();
            while !is_over.load(Ordering::Relaxed) {
                let mut budget = OPENED_PER_ROUND;
                for place in &mut connections {
                    let lives = place.as_mut().is_some_and(|stream| self.go_on(stream));
                    if !lives && budget > 0 {
                        budget -= 1;
                        *place = self.open(address);
                        count.fetch_add(usize::from(place.is_some()), Ordering::Relaxed);
                    }
                }
                std::thread::sleep(ROUND);
            }
        });
        Running {
            stop,
            opened,
            thread: Some(thread),
        }
    }

    fn open(&self, address: SocketAddr) -> Option<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()?;
        stream.set_nonblocking(true).ok()?;
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        let opening = match self {
            Self::Idle => String::new(),
            Self::SlowHead => "GET /metrics HTTP/1.1\r\nhost: ".to_owned(),
            Self::SlowBody => format!(
                "POST /api/v1/query HTTP/1.1\r\nhost: {address}\r\ncontent-length: 10000\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\r\nquery="
            ),
            Self::Unread(path) => get(path),
            Self::Pipelined(path) => get(path).repeat(PIPELINED),
        };
        // The server may have closed the connection already.
        let _ = stream.write_all(opening.as_bytes());
        Some(stream)
    }

    /// Sends the next bytes; returns whether the connection lives.
    fn go_on(&self, stream: &mut TcpStream) -> bool {
        let sent = match self {
            Self::SlowHead | Self::SlowBody => stream.write(b"a").map(drop),
            Self::Idle | Self::Unread(_) | Self::Pipelined(_) => Ok(()),
        };
        let is_open = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let seen = match stream.peek(&mut [0]) {
            // The server closes a connection whose answer is not read without an end that this client sees.
            Ok(1) => stream.take_error().is_ok_and(|error| error.is_none()),
            Ok(_) => false,
            Err(error) => is_open(&error),
        };
        seen && sent.as_ref().err().is_none_or(is_open)
    }
}

impl Running {
    /// Returns the number of connections that were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Requests a path on a new connection; returns the status and the time to the whole answer.
pub(crate) fn probe(
    address: SocketAddr,
    path: &str,
    timeout: Duration,
) -> Result<(u16, Duration), std::io::Error> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    status
        .map(|status| (status, start.elapsed()))
        .ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

/// The answers to many probes of one path.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    pub(crate) failed: usize,
    pub(crate) times: Vec<Duration>,
}

impl Probes {
    /// Probes a path this many times.
    pub(crate) fn take(address: SocketAddr, path: &str, count: usize) -> Self {
        let mut probes = Self::default();
        for _ in 0..count {
            match probe(address, path, Duration::from_secs(5)) {
                Ok((200, time)) => probes.times.push(time),
                Ok(_) | Err(_) => probes.failed += 1,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        probes.times.sort();
        probes
    }

    /// Returns the time within which this share of the answered probes was answered.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let last = self.times.len().checked_sub(1)?;
        self.times
            .get((last as f64 * share).ceil() as usize)
            .copied()
    }
}

/// Returns the resident memory of a process, in bytes.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
