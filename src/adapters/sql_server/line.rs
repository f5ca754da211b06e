//! The line to a server, as the driver above it sees it: one without encryption. What is really said about encryption is
//! said below it, so that what is written in the configuration is what happens.
//!
//! It also lets us call out an attention ([MS-TDS] 2.2.1.7) while the driver reads an answer. Only so can a statement be
//! cancelled in the middle of a row: the driver goes on reading, and stays in step with the server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::envelope::Envelope;
use super::prelogin::{HEADER, PRELOGIN, header};
use super::witness::Witness;

/// Types of packets.
const ANSWER: u8 = 0x04;
const ATTENTION: u8 = 0x06;
const LOGIN: u8 = 0x10;

/// A DONE token: its first byte, its length, and the bit that says that it answers an attention.
const DONE: u8 = 0xfd;
const DONE_LENGTH: usize = 13;
const DONE_ATTENTION: u8 = 0x20;

/// How bytes travel.
pub(super) enum Way {
    /// As they are.
    Plain(TcpStream),
    /// In TLS.
    Tls(Box<TlsStream<Envelope>>),
    /// Not at all: between the two.
    Neither,
}

/// What is known and wanted of a line from outside of the driver.
#[derive(Debug, Default)]
pub(super) struct Control {
    wanted: AtomicBool,
    sent: AtomicBool,
    acknowledged: AtomicBool,
    swallow: AtomicBool,
    /// Whether `witness` reads along.
    is_observed: AtomicBool,
    witness: Mutex<Witness>,
}

impl Control {
    /// Asks the server to stop. It is called out when the driver reads next.
    pub(super) fn attention(&self) {
        if !self.sent.load(Ordering::Acquire) {
            self.wanted.store(true, Ordering::Release);
        }
    }

    /// Whether the server was asked to stop and has not said yet that it did.
    pub(super) fn is_owed(&self) -> bool {
        self.sent.load(Ordering::Acquire) && !self.acknowledged.load(Ordering::Acquire)
    }

    /// The driver's own attention is not to be sent: ours is on its way.
    pub(super) fn swallow(&self) {
        self.swallow.store(true, Ordering::Release);
    }

    /// From the next message of the server on, its answer is read along.
    pub(super) fn observe(&self) {
        *self.witness.lock() = Witness::default();
        self.is_observed.store(true, Ordering::Release);
    }

    /// Nothing is read along any more; what was seen so far stays.
    pub(super) fn look_away(&self) {
        self.is_observed.store(false, Ordering::Release);
    }

    /// What was seen.
    pub(super) fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock()
    }

    /// Forgets the last attention, where it was answered or never sent.
    pub(super) fn settle(&self) {
        for flag in [&self.wanted, &self.sent, &self.acknowledged, &self.swallow, &self.is_observed] {
            flag.store(false, Ordering::Release);
        }
        *self.witness.lock() = Witness::default();
    }
}

/// The line.
pub(super) struct Line {
    way: Way,
    control: Arc<Control>,
    /// What is given to the driver before anything else: the server's greeting.
    greeting: Vec<u8>,
    given: usize,
    /// Whether TLS ends behind the login.
    is_login_only: bool,
    is_logged_in: bool,
    outgoing: Packets,
    incoming: Packets,
    /// The last bytes that came.
    tail: Vec<u8>,
    /// An attention that is being sent.
    calling: Vec<u8>,
}

impl Line {
    /// A line that has greeted and, where it is to be, is encrypted.
    pub(super) fn new(way: Way, greeting: &[u8], is_login_only: bool) -> (Line, Arc<Control>) {
        let control = Arc::new(Control::default());
        let mut packet = header(ANSWER, greeting.len()).to_vec();
        packet.extend_from_slice(greeting);
        let line = Line {
            way,
            control: Arc::clone(&control),
            greeting: packet,
            given: 0,
            is_login_only,
            is_logged_in: false,
            outgoing: Packets::default(),
            incoming: Packets::default(),
            tail: Vec::with_capacity(2 * DONE_LENGTH),
            calling: Vec::new(),
        };
        (line, control)
    }

    /// Sends an attention as far as it goes.
    fn call_out(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.control.wanted.swap(false, Ordering::AcqRel) {
            self.calling = header(ATTENTION, 0).to_vec();
            self.control.sent.store(true, Ordering::Release);
        }
        while !self.calling.is_empty() {
            match self.way.poll_write(context, &self.calling)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(sent) => drop(self.calling.drain(..sent)),
                Poll::Pending => return Ok(()),
            }
        }
        if self.control.is_owed() {
            let _ = self.way.poll_flush(context)?;
        }
        Ok(())
    }

    /// Follows what comes, to see whether a message ends with the answer to an attention.
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (part, is_payload) = self.incoming.next(bytes);
            if is_payload {
                if self.control.is_observed.load(Ordering::Acquire) {
                    self.control.witness.lock().feed(part);
                }
                let kept = &part[part.len().saturating_sub(DONE_LENGTH)..];
                self.tail.extend_from_slice(kept);
                let surplus = self.tail.len().saturating_sub(DONE_LENGTH);
                self.tail.drain(..surplus);
            }
            bytes = &bytes[part.len()..];
            if self.incoming.is_message_over() {
                let answers = matches!(self.tail.as_slice(), [DONE, status, ..] if status & DONE_ATTENTION != 0);
                if answers && self.tail.len() == DONE_LENGTH {
                    self.control.acknowledged.store(true, Ordering::Release);
                }
                self.tail.clear();
            }
        }
    }
}

impl Way {
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Result<Poll<usize>, io::Error> {
        let sent = match self {
            Way::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Way::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::Neither => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        match sent {
            Poll::Ready(sent) => sent.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, io::Error> {
        let flushed = match self {
            Way::Plain(socket) => Pin::new(socket).poll_flush(context),
            Way::Tls(stream) => Pin::new(stream).poll_flush(context),
            Way::Neither => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        match flushed {
            Poll::Ready(flushed) => flushed.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(rest) = this.greeting.get(this.given..).filter(|rest| !rest.is_empty()) {
            let part = &rest[..rest.len().min(buffer.remaining())];
            buffer.put_slice(part);
            this.given += part.len();
            return Poll::Ready(Ok(()));
        }
        this.call_out(context)?;
        let before = buffer.filled().len();
        match &mut this.way {
            Way::Plain(socket) => ready!(Pin::new(socket).poll_read(context, buffer))?,
            Way::Tls(stream) => ready!(Pin::new(stream).poll_read(context, buffer))?,
            Way::Neither => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
        this.follow(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Packet by packet: some are not for the server.
        let mut ahead = this.outgoing.clone();
        let mut span = 0;
        loop {
            let (part, _) = ahead.next(&bytes[span..]);
            span += part.len();
            if part.is_empty() || ahead.is_between() || span == bytes.len() {
                break;
            }
        }
        let kind = ahead.kind;
        let is_ours = match kind {
            PRELOGIN => true,
            ATTENTION => this.control.swallow.load(Ordering::Acquire),
            _ => false,
        };
        if is_ours {
            this.outgoing = ahead;
            return Poll::Ready(Ok(span));
        }
        let sent = match this.way.poll_write(context, &bytes[..span])? {
            Poll::Ready(sent) => sent,
            Poll::Pending => return Poll::Pending,
        };
        let mut rest = &bytes[..sent];
        while !rest.is_empty() {
            let (part, _) = this.outgoing.next(rest);
            rest = &rest[part.len()..];
        }
        if kind == LOGIN && this.outgoing.is_message_over() {
            this.is_logged_in = true;
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.way.poll_flush(context)?.is_pending() {
            return Poll::Pending;
        }
        if this.is_login_only && this.is_logged_in {
            this.is_login_only = false;
            this.way = match std::mem::replace(&mut this.way, Way::Neither) {
                Way::Tls(stream) => Way::Plain(stream.into_inner().0.into_socket()),
                other => other,
            };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Way::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Way::Neither => Poll::Ready(Ok(())),
        }
    }
}

/// Where in a stream of packets we are.
#[derive(Clone, Default)]
struct Packets {
    head: [u8; HEADER],
    known: usize,
    left: usize,
    kind: u8,
    is_last: bool,
}

impl Packets {
    /// The next bytes that belong together, and whether they are what a packet holds.
    fn next<'b>(&mut self, bytes: &'b [u8]) -> (&'b [u8], bool) {
        if self.left > 0 {
            let part = &bytes[..bytes.len().min(self.left)];
            self.left -= part.len();
            return (part, true);
        }
        let part = &bytes[..bytes.len().min(HEADER - self.known)];
        self.head[self.known..self.known + part.len()].copy_from_slice(part);
        self.known += part.len();
        self.kind = self.head[0];
        self.is_last = false;
        if self.known == HEADER {
            self.known = 0;
            self.left = usize::from(u16::from_be_bytes([self.head[2], self.head[3]])).saturating_sub(HEADER);
            self.is_last = self.head[1] & 1 != 0;
        }
        (part, false)
    }

    /// Whether a packet is over and the next has not begun.
    fn is_between(&self) -> bool {
        self.left == 0 && self.known == 0
    }

    /// Whether a message is over.
    fn is_message_over(&self) -> bool {
        self.is_between() && self.is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = header(kind, payload.len()).to_vec();
        packet[1] = u8::from(is_last);
        packet.extend_from_slice(payload);
        packet
    }

    /// Lets bytes come in pieces of a size.
    fn acknowledged(bytes: &[u8], piece: usize) -> bool {
        let (mut line, control) = Line::new(Way::Neither, &[], false);
        control.sent.store(true, Ordering::Release);
        bytes.chunks(piece).for_each(|piece| line.follow(piece));
        !control.is_owed()
    }

    #[test]
    fn the_answer_to_an_attention_is_seen_however_it_is_cut() {
        let done = |status: u8| [&[DONE, status, 0, 0, 0], &[0; 8][..]].concat();
        let rows = vec![0xd1; 40];
        let plain = [packet(4, false, &rows), packet(4, true, &done(0x10))].concat();
        // The token itself may lie in two packets.
        let token = done(0x20);
        let (first, second) = token.split_at(7);
        let split = [packet(4, false, &[&rows, first].concat()), packet(4, true, second)].concat();
        let behind = [plain.clone(), packet(4, true, &done(0x20))].concat();
        for piece in [1, 2, 3, 7, 8, 9, 13, 64, 4096] {
            assert!(!acknowledged(&plain, piece), "{piece}");
            assert!(acknowledged(&split, piece), "{piece}");
            assert!(acknowledged(&behind, piece), "{piece}");
        }
    }
}
