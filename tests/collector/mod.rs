//! A collector over HTTP/1.1 with a selectable, changeable behaviour, for tests and for the benchmark that loads a
//! router beside each behaviour.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime,
    sync::watch,
};

/// The behaviour of a collector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    Takes,
    /// Refuses connections, while it reserves its port. Only as the first behaviour.
    Refuses,
    /// Accepts connections, and neither reads nor writes; they are closed when the behaviour changes.
    Hangs,
    /// Answers with this status.
    Fails(u16),
    /// Accepts requests after this delay.
    Slow(Duration),
}

/// A request that was answered with 200.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) at: Instant,
    pub(crate) spans: u64,
}

/// A collector on its own thread, which runs until the process ends.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    manner: watch::Sender<Manner>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// The state that the connections share.
#[derive(Clone)]
struct Service {
    manner: watch::Receiver<Manner>,
    taken: Arc<Mutex<Vec<Taken>>>,
    /// Returns the number of spans in a body.
    count: fn(&[u8]) -> u64,
}

impl Collector {
    pub(crate) fn start(manner: Manner, count: fn(&[u8]) -> u64) -> io::Result<Self> {
        let (manner, receiver) = watch::channel(manner);
        let taken = Arc::default();
        let service = Service {
            manner: receiver,
            taken: Arc::clone(&taken),
            count,
        };
        let (started, address) = mpsc::channel();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || runtime.block_on(service.run(&started)))?;
        let address = address.recv().map_err(io::Error::other)?;
        Ok(Self {
            address,
            manner,
            taken,
        })
    }

    /// Changes the behaviour, also on open connections.
    pub(crate) fn becomes(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        lock(&self.taken).clone()
    }
}

impl Service {
    async fn run(mut self, started: &Sender<SocketAddr>) -> io::Result<()> {
        // Bound but not listening: connections are refused, and no other process can get the port meanwhile.
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        // The test may have ended.
        let _ = started.send(socket.local_addr()?);
        self.until(|manner| manner != Manner::Refuses).await?;
        let listener: TcpListener = socket.listen(1_024)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(self.clone().serve(stream));
        }
    }

    /// Answers requests until the client disconnects.
    async fn serve(mut self, mut stream: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(64 * 1_024);
        loop {
            if *self.manner.borrow() == Manner::Hangs {
                // After a restart, a collector does not know earlier requests.
                return self.until(|manner| manner != Manner::Hangs).await;
            }
            let Some((head, end)) = whole(&bytes) else {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            let request: Vec<u8> = bytes.drain(..end).collect();
            let manner = *self.manner.borrow();
            let status = match manner {
                Manner::Fails(status) => status,
                Manner::Slow(time) => {
                    tokio::time::sleep(time).await;
                    200
                }
                Manner::Takes | Manner::Refuses | Manner::Hangs => 200,
            };
            let answer = format!("HTTP/1.1 {status} .\r\ncontent-length: 0\r\n\r\n");
            if status == 200 {
                let spans = (self.count)(&request[head..]);
                let at = Instant::now();
                lock(&self.taken).push(Taken { at, spans });
            }
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    async fn until(&mut self, is_right: impl Fn(Manner) -> bool) -> io::Result<()> {
        let right = self.manner.wait_for(|manner| is_right(*manner)).await;
        right.map(drop).map_err(io::Error::other)
    }
}

/// Returns the range of the first request's body, once it is complete.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let end = head + length.trim().parse::<usize>().ok()?;
    (bytes.len() >= end).then_some((head, end))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
