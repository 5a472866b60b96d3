//! A receiver of POSTs, with or without TLS, that records the requests.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        mpsc::{self, Receiver as Requests},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};

use crate::channels_support::Certificates;

/// A recorded request.
pub(crate) struct Posted {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) requests: Requests<Posted>,
}

impl Receiver {
    /// Starts a receiver that accepts every request.
    pub(crate) fn start(certificates: Option<&Certificates>) -> Self {
        Self::over_http(certificates.map(|certificates| acceptor(certificates, None, &[])))
    }

    /// Starts a gRPC server behind TLS that accepts every call.
    pub(crate) fn start_grpc(certificates: &Certificates) -> Self {
        Self::over_grpc(acceptor(certificates, None, &[b"h2"]))
    }

    /// Starts two receivers, over HTTP and gRPC, that accept clients with a certificate of this authority.
    pub(crate) fn for_clients_of(clients: &Certificates, certificates: &Certificates) -> [Self; 2] {
        let clients = Some(clients);
        [
            Self::over_http(Some(acceptor(certificates, clients, &[]))),
            Self::over_grpc(acceptor(certificates, clients, &[b"h2"])),
        ]
    }

    fn over_http(acceptor: Option<TlsAcceptor>) -> Self {
        Self::serve(async move |listener, sender| {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &acceptor {
                    None => one(stream, &sender).await,
                    // A client that does not trust the receiver ends the handshake.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            one(stream, &sender).await;
                        }
                    }
                }
            }
        })
    }

    fn over_grpc(acceptor: TlsAcceptor) -> Self {
        Self::serve(async move |listener, sender| {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the receiver ends the handshake.
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                let sender = sender.clone();
                let take = move |request| take(request, sender.clone());
                let served = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(take));
                tokio::spawn(served);
            }
        })
    }

    /// Runs the receiver on its own thread.
    fn serve(work: impl AsyncFnOnce(TcpListener, mpsc::Sender<Posted>) + Send + 'static) -> Self {
        let (sender, requests) = mpsc::channel();
        let (started, port) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                started.send(listener.local_addr().unwrap().port()).unwrap();
                work(listener, sender).await;
            });
        });
        let port = port.recv().unwrap();
        Self { port, requests }
    }
}

/// Answers one call with status OK.
async fn take(
    request: hyper::Request<hyper::body::Incoming>,
    sender: mpsc::Sender<Posted>,
) -> Result<hyper::Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let head = format!("{} {}\n{:?}", head.method, head.uri.path(), head.headers);
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    // The test may have ended.
    let _ = sender.send(Posted { head, body });
    // An empty message: flag and length.
    let message = Full::new(Bytes::from_static(&[0; 5]));
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = message.with_trailers(std::future::ready(Some(Ok(trailers))));
    let answer = hyper::Response::builder().header("content-type", "application/grpc");
    Ok(answer.body(body).unwrap())
}

/// Builds a TLS acceptor with these protocols; with `clients`, it accepts only clients that this authority signed.
fn acceptor(
    certificates: &Certificates,
    clients: Option<&Certificates>,
    protocols: &[&[u8]],
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(certificates.key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificates.certificate_der.clone())];
    let provider = Arc::new(ring::default_provider());
    let verifier = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.authority_der.clone().into()).unwrap();
            let roots = Arc::new(roots);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
            verifier.build().unwrap()
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves one request for each connection.
async fn one(mut stream: impl AsyncRead + AsyncWrite + Unpin, sender: &mpsc::Sender<Posted>) {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).await.unwrap_or_default();
        if count == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..count]);
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let body = &request[end + 4..];
        if body.len() >= length {
            let body = body.to_vec();
            // The test may have ended.
            let _ = sender.send(Posted { head, body });
            break;
        }
    }
    let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}
