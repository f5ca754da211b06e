//! TLS below TDS: the handshake travels in PRELOGIN packets, what follows does not (MS-TDS 3.3.5.2).

use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::packet::PRELOGIN;

/// A certificate for `localhost` that signs itself, made once a process: the folder that holds `cert.pem` and `key.pem`.
pub(crate) fn certificate() -> &'static std::path::Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .current_dir(folder.path())
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
            .output()
            .expect("openssl is installed by scripts/setup test");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder
    });
    folder.path()
}

/// TLS 1.2 alone: with 1.3 the server's tickets follow the handshake, and nobody could tell in which form.
fn acceptor() -> TlsAcceptor {
    static MADE: OnceLock<TlsAcceptor> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = certificate();
        let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    });
    made.clone()
}

/// Encrypted from here on.
pub(crate) async fn accept(stream: TcpStream) -> io::Result<TlsStream<Wrapped>> {
    let wrapped = Wrapped { stream, handshake: true, left: 0, header: Vec::new(), out: Vec::new(), sent: 0 };
    let mut tls = acceptor().accept(wrapped).await?;
    tls.flush().await?;
    tls.get_mut().0.handshake = false;
    Ok(tls)
}

/// Answers a client's first words with the alert of a server that knows no version as new as the client's.
pub(crate) async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    super::packet::read(stream).await?;
    // TLS 1.0, fatal, protocol_version (RFC 5246 7.2).
    let alert = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
    let mut packet = vec![PRELOGIN, 1, 0, 8 + alert.len() as u8, 0, 0, 0, 0];
    packet.extend_from_slice(&alert);
    stream.write_all(&packet).await?;
    // So that the alert is read before the end of the connection is seen.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), stream.read(&mut [0; 64])).await;
    Ok(())
}

/// A socket whose traffic lies in PRELOGIN packets while the handshake goes on.
pub(crate) struct Wrapped {
    stream: TcpStream,
    handshake: bool,
    /// Bytes of the packet that are still to come.
    left: usize,
    header: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
}

impl Wrapped {
    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.handshake {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        while this.left == 0 {
            let mut bytes = [0; 8];
            let mut part = ReadBuf::new(&mut bytes[this.header.len()..]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
            if part.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.header.extend_from_slice(part.filled());
            if let [kind, _, high, low, ..] = this.header[..]
                && this.header.len() == 8
            {
                if kind != PRELOGIN {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "no handshake in a packet")));
                }
                this.left = usize::from(u16::from_be_bytes([high, low])).saturating_sub(8);
                this.header.clear();
            }
        }
        let mut limited = buffer.take(this.left);
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut limited))?;
        let count = limited.filled().len();
        this.left -= count;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.handshake {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        }
        // Flushed when the other side is to answer: one packet then.
        this.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.handshake && !this.out.is_empty() && this.sent == 0 {
            let mut packets = Vec::new();
            let mut pieces = this.out.chunks(4096 - 8).peekable();
            while let Some(piece) = pieces.next() {
                let length = (piece.len() as u16 + 8).to_be_bytes();
                let last = u8::from(pieces.peek().is_none());
                packets.extend_from_slice(&[PRELOGIN, last, length[0], length[1], 0, 0, 1, 0]);
                packets.extend_from_slice(piece);
            }
            this.out = packets;
        }
        while this.sent < this.out.len() {
            let count = ready!(Pin::new(&mut this.stream).poll_write(context, &this.out[this.sent..]))?;
            this.sent += count;
            // Not one byte of the packets is to be packed again, should the socket be full.
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        this.out.clear();
        this.sent = 0;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
