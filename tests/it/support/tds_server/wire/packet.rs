//! Packets: a header of eight bytes before each piece of a message (MS-TDS 2.2.3).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const BATCH: u8 = 0x01;
pub(crate) const RPC: u8 = 0x03;
pub(crate) const RESPONSE: u8 = 0x04;
pub(crate) const ATTENTION: u8 = 0x06;
pub(crate) const TRANSACTION: u8 = 0x0E;
pub(crate) const LOGIN7: u8 = 0x10;
pub(crate) const SSPI: u8 = 0x11;
pub(crate) const PRELOGIN: u8 = 0x12;

const END_OF_MESSAGE: u8 = 0x01;
const IGNORE: u8 = 0x02;
const RESET: u8 = 0x08;
const RESET_KEEPING_TRANSACTION: u8 = 0x10;

/// More than this is no request of anybody who means well.
const MOST: usize = 64 << 20;

/// A whole message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
    /// Whether the session is to be reset before it.
    pub(crate) resets: bool,
    /// Its packets.
    pub(crate) packets: usize,
}

/// Reads the packets of one message. What is to be ignored is left out.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let mut message = Message { kind: 0, payload: Vec::new(), resets: false, packets: 0 };
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        if length < 8 || message.payload.len() > MOST {
            return Err(wrong("a packet of no possible length"));
        }
        if message.packets > 0 && header[0] != message.kind {
            // An attention between the packets of a request takes its place.
            if header[0] != ATTENTION {
                return Err(wrong("packets of two messages are mixed"));
            }
            message.payload.clear();
        }
        message.kind = header[0];
        message.packets += 1;
        message.resets |= header[1] & (RESET | RESET_KEEPING_TRANSACTION) != 0;
        let start = message.payload.len();
        message.payload.resize(start + length - 8, 0);
        stream.read_exact(&mut message.payload[start..]).await?;
        if header[1] & END_OF_MESSAGE != 0 {
            if header[1] & IGNORE != 0 {
                message = Message { kind: 0, payload: Vec::new(), resets: false, packets: 0 };
                continue;
            }
            return Ok(message);
        }
    }
}

/// Splits answers into packets of the agreed size.
pub(crate) struct Writer {
    /// With the header before it.
    buffer: Vec<u8>,
    pub(crate) size: usize,
    pub(crate) spid: u16,
    number: u8,
}

impl Writer {
    pub(crate) fn new(size: usize, spid: u16) -> Writer {
        Writer { buffer: vec![0; 8], size, spid, number: 1 }
    }

    /// Adds to the message; whole packets leave, the last one waits.
    pub(crate) async fn push(&mut self, stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == self.size {
                self.send(stream, RESPONSE, 0).await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.size - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Sends what waits although it is no whole packet.
    pub(crate) async fn flush(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if self.buffer.len() > 8 { self.send(stream, RESPONSE, 0).await } else { Ok(()) }
    }

    /// Ends the message.
    pub(crate) async fn end(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.end_as(stream, RESPONSE).await
    }

    pub(crate) async fn end_as(&mut self, stream: &mut (impl AsyncWrite + Unpin), kind: u8) -> io::Result<()> {
        self.send(stream, kind, END_OF_MESSAGE).await?;
        self.number = 1;
        stream.flush().await
    }

    /// Sends a packet that says it is longer than what follows.
    pub(crate) async fn tear(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.head(RESPONSE, 0);
        stream.write_all(&self.buffer[..self.buffer.len() - (self.buffer.len() - 8) / 2]).await?;
        stream.flush().await
    }

    fn head(&mut self, kind: u8, status: u8) {
        let length = (self.buffer.len() as u16).to_be_bytes();
        let spid = self.spid.to_be_bytes();
        self.buffer[..8].copy_from_slice(&[kind, status, length[0], length[1], spid[0], spid[1], self.number, 0]);
    }

    async fn send(&mut self, stream: &mut (impl AsyncWrite + Unpin), kind: u8, status: u8) -> io::Result<()> {
        self.head(kind, status);
        self.number = self.number.wrapping_add(1);
        stream.write_all(&self.buffer).await?;
        self.buffer.truncate(8);
        Ok(())
    }
}
