//! Connections: accepting them, ending them in ways a client must survive, and TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::delivery::Delivery;
use super::log::Origin;
use super::server::{State, handle};

/// Accepts connections until the sender of `stop` goes; then drops the listener and all connections.
pub async fn serve(
    listener: TcpListener,
    origin: Origin,
    state: Arc<State>,
    mut stop: watch::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => {
                super::port::close(&listener);
                return;
            }
        };
        // A connection that ended before it was accepted is no failure.
        let Ok((tcp, _)) = accepted else { continue };
        state.log.connected();
        let _ = tcp.set_nodelay(true);
        let (state, mut stop) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(tcp, origin, state) => {}
                _ = stop.changed() => {}
            }
        });
    }
}

/// Speaks HTTP/1.1 on one connection. Where TLS is on, a client that speaks plain HTTP is served as well, and recorded as
/// such: a test must see a token that was sent unencrypted.
async fn connection(tcp: TcpStream, origin: Origin, state: Arc<State>) {
    let acceptor = match &state.tls {
        Some(tls) if starts_with_handshake(&tcp).await => Some(tls.acceptor.clone()),
        _ => None,
    };
    let ends = tcp.local_addr().ok().zip(tcp.peer_addr().ok());
    let wire = Arc::new(Wire {
        encrypted: acceptor.is_some(),
        reset: AtomicBool::new(false),
        delivery: Delivery::between(ends),
    });
    let stream = Stream {
        tcp,
        wire: wire.clone(),
    };
    match acceptor {
        // A failed handshake is a client that does not trust the certificate.
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => converse_at_once(stream, origin, state, wire).await,
                    _ => converse(stream, origin, state, wire).await,
                }
            }
        }
        None => converse(stream, origin, state, wire).await,
    }
}

/// The first byte is that of a TLS handshake record (RFC 8446 section 5.1).
async fn starts_with_handshake(tcp: &TcpStream) -> bool {
    let mut first = [0];
    matches!(tcp.peek(&mut first).await, Ok(1)) && first[0] == 22
}

async fn converse<S>(stream: S, origin: Origin, state: Arc<State>, wire: Arc<Wire>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| handle(state.clone(), origin, wire.clone(), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Errors here are clients that went away and faults at work.
    let _ = connection.await;
}

/// The same over HTTP/2: many requests at a time on one connection.
async fn converse_at_once<S>(stream: S, origin: Origin, state: Arc<State>, wire: Arc<Wire>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| handle(state.clone(), origin, wire.clone(), request));
    let executor = hyper_util::rt::TokioExecutor::new();
    let connection = hyper::server::conn::http2::Builder::new(executor)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

/// A certificate authority made for one Hub, and the server's side of TLS with a certificate it signed.
pub struct Tls {
    acceptor: TlsAcceptor,
    /// The authority's certificate in PEM: what a client has to trust.
    pub ca_pem: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// A fresh authority and a certificate for 127.0.0.1 and localhost.
    pub fn new(http2: bool) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "Local Hub test authority");
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority_key = KeyPair::generate().expect("key");
        let ca_pem = authority
            .self_signed(&authority_key)
            .expect("certificate")
            .pem();
        let issuer = Issuer::new(authority, authority_key);
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut server = CertificateParams::new(names).expect("names");
        // Python's TLS checks strictly and wants to find the issuer's key named.
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("key");
        let certificate = server.signed_by(&key, &issuer).expect("certificate");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("certificate and key fit");
        if http2 {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_pem,
        }
    }
}

/// Control over one connection from within an answer.
#[derive(Debug)]
pub struct Wire {
    /// The connection speaks TLS.
    pub encrypted: bool,
    reset: AtomicBool,
    /// What has arrived at the other end.
    pub delivery: Delivery,
}

impl Wire {
    /// The connection has to end with a TCP reset.
    pub fn reset(&self) {
        self.reset.store(true, SeqCst);
    }
}

/// A TCP connection that can end with a reset in place of an orderly close.
struct Stream {
    tcp: TcpStream,
    wire: Arc<Wire>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.wire.reset.load(SeqCst) {
            // Closing a socket that lingers for zero seconds sends RST (RFC 9293 section 3.9.1, ABORT).
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.tcp).poll_flush(cx);
        if flushed.is_ready() {
            // Asked for when all was written.
            self.wire.delivery.written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wire.reset.load(SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
