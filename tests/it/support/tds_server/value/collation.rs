//! Collations: how (n)char and (n)varchar compare, and in which code page the narrow ones travel.

use encoding_rs::Encoding;

/// A collation that the server knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collation {
    pub(crate) name: &'static str,
    /// As on the wire (MS-TDS 2.2.5.1.2): LCID in 20 bits, flags in 8, version in 4, then the sort id.
    pub(crate) wire: [u8; 5],
    encoding: &'static Encoding,
    /// The code page, as `COLLATIONPROPERTY` says it.
    pub(crate) page: u32,
}

impl PartialEq for Collation {
    fn eq(&self, other: &Collation) -> bool {
        self.name == other.name
    }
}

const fn known(name: &'static str, wire: [u8; 5], encoding: &'static Encoding, page: u32) -> Collation {
    Collation { name, wire, encoding, page }
}

/// The flags `D0` are: ignores case, kana and width. `05` in their place is binary by code point.
const ALL: &[Collation] = &[
    known("SQL_Latin1_General_CP1_CI_AS", [0x09, 0x04, 0xD0, 0x00, 0x34], encoding_rs::WINDOWS_1252, 1252),
    known("Latin1_General_CI_AS", [0x09, 0x04, 0xD0, 0x00, 0x00], encoding_rs::WINDOWS_1252, 1252),
    known("Latin1_General_BIN2", [0x09, 0x04, 0x00, 0x02, 0x00], encoding_rs::WINDOWS_1252, 1252),
    known("Polish_CI_AS", [0x15, 0x04, 0xD0, 0x00, 0x00], encoding_rs::WINDOWS_1250, 1250),
    known("Czech_CI_AS", [0x05, 0x04, 0xD0, 0x00, 0x00], encoding_rs::WINDOWS_1250, 1250),
    known("Cyrillic_General_CI_AS", [0x19, 0x04, 0xD0, 0x00, 0x00], encoding_rs::WINDOWS_1251, 1251),
    known("Japanese_CI_AS", [0x11, 0x04, 0xD0, 0x00, 0x00], encoding_rs::SHIFT_JIS, 932),
    known("Latin1_General_100_CI_AS_SC_UTF8", [0x09, 0x04, 0xD0, 0x24, 0x00], encoding_rs::UTF_8, 65001),
];

impl Collation {
    /// The server's own, where a column says none.
    pub(crate) const DEFAULT: Collation = ALL[0];

    pub(crate) fn named(name: &str) -> Option<Collation> {
        ALL.iter().find(|collation| collation.name.eq_ignore_ascii_case(name)).copied()
    }

    /// That of a parameter; the server's own where it is none that we know.
    pub(crate) fn of_wire(wire: [u8; 5]) -> Collation {
        let same = |collation: &&Collation| collation.wire == wire;
        let kin = |collation: &&Collation| collation.wire[..2] == wire[..2] && collation.wire[3] & 4 == wire[3] & 4;
        ALL.iter().find(same).or_else(|| ALL.iter().find(kin)).copied().unwrap_or(Collation::DEFAULT)
    }

    pub(crate) fn is_binary(&self) -> bool {
        self.name.ends_with("_BIN2")
    }

    /// Text in its code page; `?` for what that does not have.
    pub(crate) fn encode(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut utf8 = [0; 4];
        for c in text.chars() {
            let (encoded, _, lost) = self.encoding.encode(c.encode_utf8(&mut utf8));
            bytes.extend_from_slice(if lost { b"?" } else { &encoded });
        }
        bytes
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> String {
        self.encoding.decode_without_bom_handling(bytes).0.into_owned()
    }
}
