//! A socket whose TLS handshake travels in packets of TDS; what comes after the handshake does not ([MS-TDS] 2.2.6.5).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::prelogin::{HEADER, PRELOGIN, header};

/// The most bytes of a handshake in one packet.
const ROOM: usize = 4096 - HEADER;

/// A socket, in packets or not.
#[derive(Debug)]
pub(super) struct Envelope {
    socket: TcpStream,
    is_wrapped: bool,
    /// What is to be sent in the next packet.
    collected: Vec<u8>,
    /// Packets that are being sent.
    sending: Vec<u8>,
    /// The header of the packet that is being read.
    head: [u8; HEADER],
    /// How much of it is there.
    known: usize,
    /// How much of the packet is still to come.
    left: usize,
}

impl Envelope {
    pub(super) fn new(socket: TcpStream) -> Envelope {
        let (collected, sending) = (Vec::new(), Vec::new());
        Envelope { socket, is_wrapped: true, collected, sending, head: [0; HEADER], known: 0, left: 0 }
    }

    /// From now on bytes travel as they are.
    pub(super) fn open(&mut self) {
        self.is_wrapped = false;
    }

    /// The socket.
    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }

    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for part in self.collected.chunks(ROOM) {
            self.sending.extend_from_slice(&header(PRELOGIN, part.len()));
            self.sending.extend_from_slice(part);
        }
        self.collected.clear();
        while !self.sending.is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, &self.sending))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sending.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Envelope {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_wrapped {
            return Pin::new(&mut this.socket).poll_read(context, buffer);
        }
        ready!(this.send(context))?;
        while this.left == 0 {
            let mut rest = ReadBuf::new(&mut this.head[this.known..]);
            ready!(Pin::new(&mut this.socket).poll_read(context, &mut rest))?;
            let got = rest.filled().len();
            if got == 0 {
                return Poll::Ready(Ok(()));
            }
            this.known += got;
            if this.known == HEADER {
                this.known = 0;
                this.left = usize::from(u16::from_be_bytes([this.head[2], this.head[3]])).saturating_sub(HEADER);
            }
        }
        let room = buffer.remaining().min(this.left);
        let mut part = buffer.take(room);
        ready!(Pin::new(&mut this.socket).poll_read(context, &mut part))?;
        let got = part.filled().to_vec();
        this.left -= got.len();
        // `part` has its own view of how much of the buffer holds bytes.
        buffer.put_slice(&got);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Envelope {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.is_wrapped {
            return Pin::new(&mut this.socket).poll_write(context, bytes);
        }
        this.collected.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send(context))?;
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}
