//! LOGIN7 (MS-TDS 2.2.6.4).

use super::read::{Reader, broken, utf16};
use crate::support::tds_server::error::SqlFault;

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) version: u32,
    pub(crate) packet_size: u32,
    pub(crate) host: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) application: String,
    pub(crate) database: String,
    pub(crate) read_only: bool,
    /// The first token of integrated authentication.
    pub(crate) integrated: Option<Vec<u8>>,
    pub(crate) new_password: Option<String>,
    /// Features that are asked for, by number.
    pub(crate) features: Vec<u8>,
}

/// The feature that varchar may be UTF-8.
pub(crate) const UTF8: u8 = 0x0A;

pub(crate) fn read(payload: &[u8]) -> Result<Login, SqlFault> {
    let mut reader = Reader(payload);
    let _length = reader.u32()?;
    let version = reader.u32()?;
    let packet_size = reader.u32()?;
    let _client = reader.take(12)?;
    let _options_1 = reader.u8()?;
    let options_2 = reader.u8()?;
    let kinds = reader.u8()?;
    let options_3 = reader.u8()?;
    let _zone_and_language = reader.take(8)?;
    let mut text = || -> Result<&[u8], SqlFault> {
        let (at, units) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
        payload.get(at..at + units * 2).ok_or_else(broken)
    };
    let host = utf16(text()?);
    let user = utf16(text()?);
    let password = disclose(text()?);
    let application = utf16(text()?);
    let _server = text()?;
    let (extension_at, _) = (usize::from(reader.u16()?), reader.u16()?);
    let mut text = || -> Result<&[u8], SqlFault> {
        let (at, units) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
        payload.get(at..at + units * 2).ok_or_else(broken)
    };
    let _library = text()?;
    let _language = text()?;
    let database = utf16(text()?);
    let _client_id = reader.take(6)?;
    let (token_at, token_length) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
    let _file = reader.take(4)?;
    let (at, units) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
    let changed = payload.get(at..at + units * 2).unwrap_or_default();
    let mut features = Vec::new();
    if options_3 & 0x10 != 0 {
        let at = Reader(payload.get(extension_at..).ok_or_else(broken)?).u32()? as usize;
        let mut options = Reader(payload.get(at..).ok_or_else(broken)?);
        loop {
            let feature = options.u8()?;
            if feature == 0xFF {
                break;
            }
            let length = options.u32()? as usize;
            options.take(length)?;
            features.push(feature);
        }
    }
    Ok(Login {
        version,
        packet_size,
        host,
        user,
        password,
        application,
        database,
        read_only: kinds & 0x20 != 0,
        integrated: (options_2 & 0x80 != 0)
            .then(|| payload.get(token_at..token_at + token_length).unwrap_or_default().to_vec()),
        new_password: (options_3 & 0x01 != 0 && !changed.is_empty()).then(|| disclose(changed)),
        features,
    })
}

/// A password's bytes are turned by a nibble and then xored.
fn disclose(bytes: &[u8]) -> String {
    let plain: Vec<u8> = bytes.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
    utf16(&plain)
}
