//! PRELOGIN: what both sides can do, and whether they encrypt (MS-TDS 2.2.6.5).

use super::read::{Reader, broken};
use crate::support::tds_server::Encryption;
use crate::support::tds_server::error::SqlFault;

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const MARS: u8 = 4;
const END: u8 = 0xFF;

const OFF: u8 = 0;
const ON: u8 = 1;
const NOT_SUPPORTED: u8 = 2;
const REQUIRED: u8 = 3;

/// What the client says.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    pub(crate) encryption: u8,
    pub(crate) instance: String,
}

/// How far the encryption reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    Nothing,
    Login,
    Everything,
    /// No common ground: the server ends the connection.
    Disagreed,
}

pub(crate) fn read(payload: &[u8]) -> Result<Hello, SqlFault> {
    let mut hello = Hello { encryption: NOT_SUPPORTED, instance: String::new() };
    let mut options = Reader(payload);
    loop {
        let option = options.u8()?;
        if option == END {
            return Ok(hello);
        }
        let place = options.take(4)?;
        let at = usize::from(u16::from_be_bytes([place[0], place[1]]));
        let length = usize::from(u16::from_be_bytes([place[2], place[3]]));
        let data = payload.get(at..at + length).ok_or_else(broken)?;
        match option {
            // The high bit asks for a client's certificate.
            ENCRYPTION => hello.encryption = data.first().ok_or_else(broken)? & 0x7F,
            INSTANCE => hello.instance = String::from_utf8_lossy(data).trim_end_matches('\0').to_owned(),
            _ => {}
        }
    }
}

/// What the server answers, and what is encrypted then.
pub(crate) fn agree(client: u8, server: Encryption) -> (u8, Cover) {
    match (server, client) {
        (Encryption::NotSupported, ON | REQUIRED) => (NOT_SUPPORTED, Cover::Disagreed),
        (Encryption::NotSupported, _) | (Encryption::Off, NOT_SUPPORTED) => (NOT_SUPPORTED, Cover::Nothing),
        (Encryption::Off, OFF) => (OFF, Cover::Login),
        (Encryption::Off | Encryption::Required, ON | REQUIRED) => (ON, Cover::Everything),
        (Encryption::Required, OFF) => (REQUIRED, Cover::Everything),
        (_, _) => (REQUIRED, Cover::Disagreed),
    }
}

/// The answer's payload.
pub(crate) fn answer(encryption: u8, version: [u8; 4]) -> Vec<u8> {
    let [major, minor, build_high, build_low] = version;
    let options: [(u8, &[u8]); 4] = [
        (VERSION, &[major, minor, build_high, build_low, 0, 0]),
        (ENCRYPTION, &[encryption]),
        (INSTANCE, &[0]),
        (MARS, &[0]),
    ];
    let (mut head, mut data) = (Vec::new(), Vec::new());
    let start = options.len() * 5 + 1;
    for (option, bytes) in options {
        head.push(option);
        head.extend_from_slice(&((start + data.len()) as u16).to_be_bytes());
        head.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        data.extend_from_slice(bytes);
    }
    head.push(END);
    [head, data].concat()
}
