//! A remote that takes webhooks and spans, and misbehaves on request.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

/// The behaviour of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Accepts every request.
    Accept = 0,
    /// Answers three of ten requests with 503.
    RefuseSome = 1,
    /// Closes each connection.
    Close = 2,
    /// Reads, and never answers.
    Hang = 3,
    /// Answers a byte every half second.
    Drip = 4,
    /// Answers bytes that are no HTTP.
    Garbage = 5,
    /// Answers 500 with a body of ten megabytes.
    Flood = 6,
}

impl Mode {
    pub(crate) const BAD: [Self; 5] = [
        Self::Close,
        Self::Hang,
        Self::Drip,
        Self::Garbage,
        Self::Flood,
    ];

    fn of(number: u8) -> Self {
        let all = Self::BAD
            .into_iter()
            .chain([Self::Accept, Self::RefuseSome]);
        all.into_iter()
            .find(|mode| *mode as u8 == number)
            .unwrap_or(Self::Accept)
    }
}

/// A request that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) path: String,
    pub(crate) dedup_key: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

/// A receiver on loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    mode: AtomicU8,
    requests: AtomicUsize,
    refused: AtomicUsize,
    accepted: Mutex<Vec<Accepted>>,
}

impl Receiver {
    pub(crate) fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(mode as u8),
            requests: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            accepted: Mutex::default(),
        });
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // A connection that cannot get a thread is closed.
                let _ = thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn(move || serve(stream, &state));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behave(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self) -> MutexGuard<'_, Vec<Accepted>> {
        self.shared.accepted.lock().unwrap()
    }

    /// Returns whether a webhook at this path was accepted for this alert with this status.
    pub(crate) fn has(&self, path: &str, name: &str, status: &str) -> bool {
        self.accepted().iter().any(|request| {
            request.path == path
                && request
                    .alerts()
                    .any(|(alert, found, _)| alert == name && found == status)
        })
    }
}

impl Accepted {
    /// Yields the name, status and start of each alert. Alerts of the rule `wave` have the name `wave` and their `n`.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = (String, &str, &str)> {
        let alerts = self.body["alerts"].as_array().into_iter().flatten();
        alerts.map(|alert| {
            let text = |value: &'static str| alert[value].as_str().unwrap_or_default();
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
            let name = format!("{}{}", label("alertname"), label("n"));
            (name, text("status"), text("startsAt"))
        })
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_mins(1)));
    let Ok(mut out) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let number = shared.requests.fetch_add(1, Ordering::Relaxed);
        // Seven is coprime with ten, so three of every ten requests are refused.
        let is_refused = number * 7 % 10 < 3;
        let mode = Mode::of(shared.mode.load(Ordering::Relaxed));
        let written = match mode {
            Mode::RefuseSome if is_refused => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                out.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            }
            Mode::Accept | Mode::RefuseSome => {
                shared.accepted.lock().unwrap().push(request);
                out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            }
            Mode::Close => return,
            Mode::Hang => {
                thread::sleep(Duration::from_mins(1));
                return;
            }
            Mode::Drip => {
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
                    .iter()
                    .cycle()
                {
                    if out.write_all(&[*byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(500));
                }
                Ok(())
            }
            Mode::Garbage => {
                let _ = out.write_all(b"\x16\x03\x01\x00garbage\r\n\0\0HTTP/9.9 200\r\n\r\n");
                return;
            }
            Mode::Flood => {
                let length = 10_000_000;
                let head = format!(
                    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: {length}\r\n\r\n"
                );
                out.write_all(head.as_bytes())
                    .and_then(|()| out.write_all(&vec![b'x'; length]))
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Accepted> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut dedup_key) = (0, String::new());
    loop {
        line.clear();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-observatory-dedup-key" => value.trim().clone_into(&mut dedup_key),
            _ => {}
        }
    }
    let mut raw = vec![0; length];
    reader.read_exact(&mut raw).ok()?;
    Some(Accepted {
        path,
        dedup_key,
        body: serde_json::from_slice(&raw).unwrap_or_default(),
        raw,
    })
}
