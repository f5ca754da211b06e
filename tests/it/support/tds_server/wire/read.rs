//! A cursor over a message.

use crate::support::tds_server::error::SqlFault;

/// What is left of a message.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

pub(crate) fn broken() -> SqlFault {
    let message = "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly.";
    SqlFault::new(4002, message)
}

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], SqlFault> {
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(broken)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SqlFault> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| broken())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, SqlFault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, SqlFault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SqlFault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SqlFault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn collation(&mut self) -> Result<[u8; 5], SqlFault> {
        self.array()
    }

    /// So many UTF-16 units.
    pub(crate) fn utf16(&mut self, units: usize) -> Result<String, SqlFault> {
        Ok(utf16(self.take(units * 2)?))
    }
}

pub(crate) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
