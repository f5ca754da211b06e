//! The first exchange of a connection, before anybody has logged in: what versions there are, and how much is encrypted
//! ([MS-TDS] 2.2.6.5).

/// The type of a packet that asks, and of those that carry a TLS handshake.
pub(super) const PRELOGIN: u8 = 0x12;

/// The bytes before what a packet holds.
pub(super) const HEADER: usize = 8;

/// What a side says of encryption.
pub(super) mod wish {
    /// The login only.
    pub(in super::super) const LOGIN: u8 = 0;
    /// Everything.
    pub(in super::super) const ON: u8 = 1;
    /// It cannot.
    pub(in super::super) const CANNOT: u8 = 2;
    /// Everything, or nothing at all.
    pub(in super::super) const MUST: u8 = 3;
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Its version: 11 is SQL Server 2012, 16 is 2022.
    pub(super) version: (u8, u8, u16),
    /// What it says of encryption.
    pub(super) encryption: u8,
    /// The whole answer, changed so that it says that there is no encryption: above the line there is none.
    pub(super) plain: Vec<u8>,
}

/// The packet that asks. The instance is checked by the server: another one at the same port says so.
pub(super) fn hello(encryption: u8, instance: &str) -> Vec<u8> {
    let mut instance = instance.as_bytes().to_vec();
    instance.push(0);
    // Our own version says nothing to a server; thread and MARS are not used.
    let options: [(u8, &[u8]); 5] =
        [(0, &[0, 0, 0, 0, 0, 0]), (1, &[encryption]), (2, &instance), (3, &[0, 0, 0, 0]), (4, &[0])];
    let (mut table, mut data) = (Vec::new(), Vec::new());
    let begin = options.len() * 5 + 1;
    for (token, value) in options {
        table.push(token);
        table.extend_from_slice(&((begin + data.len()) as u16).to_be_bytes());
        table.extend_from_slice(&(value.len() as u16).to_be_bytes());
        data.extend_from_slice(value);
    }
    table.push(0xff);
    let mut packet = header(PRELOGIN, table.len() + data.len()).to_vec();
    packet.extend_from_slice(&table);
    packet.extend_from_slice(&data);
    packet
}

/// The header of a packet that is the last of its message.
pub(super) fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let [high, low] = ((length + HEADER) as u16).to_be_bytes();
    [kind, 1, high, low, 0, 0, 1, 0]
}

/// Reads what a server answers; `None` where it is no such answer.
pub(super) fn greeting(payload: &[u8]) -> Option<Greeting> {
    let (mut version, mut encryption, mut at) = (None, None, 0);
    let mut plain = payload.to_vec();
    loop {
        let token = *payload.get(at)?;
        if token == 0xff {
            break;
        }
        let field = |from: usize| Some(usize::from(u16::from_be_bytes([*payload.get(from)?, *payload.get(from + 1)?])));
        let (offset, length) = (field(at + 1)?, field(at + 3)?);
        let value = payload.get(offset..offset.checked_add(length)?)?;
        match token {
            0 => {
                version = Some((*value.first()?, *value.get(1)?, u16::from_be_bytes([*value.get(2)?, *value.get(3)?])))
            }
            1 => {
                encryption = Some(*value.first()?);
                *plain.get_mut(offset)? = wish::CANNOT;
            }
            _ => {}
        }
        at += 5;
    }
    Some(Greeting { version: version?, encryption: encryption?, plain })
}

/// A version as people know it.
pub(super) fn product(version: (u8, u8, u16)) -> String {
    let year = match (version.0, version.1) {
        (8, _) => "2000",
        (9, _) => "2005",
        (10, 50..) => "2008 R2",
        (10, _) => "2008",
        (11, _) => "2012",
        (12, _) => "2014",
        (13, _) => "2016",
        (14, _) => "2017",
        (15, _) => "2019",
        (16, _) => "2022",
        (17, _) => "2025",
        (major, minor) => return format!("SQL Server {major}.{minor}.{}", version.2),
    };
    format!("SQL Server {year} ({}.{}.{})", version.0, version.1, version.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_that_of_the_specification() {
        // [MS-TDS] 4.1, with our options: five of five bytes, the end, then their values.
        let packet = hello(wish::ON, "");
        let expected = "12 01 00 2f 00 00 01 00 \
            00 00 1a 00 06 01 00 20 00 01 02 00 21 00 01 03 00 22 00 04 04 00 26 00 01 ff \
            00 00 00 00 00 00 01 00 00 00 00 00 00";
        let expected: Vec<u8> = expected.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(packet, expected);
    }

    #[test]
    fn an_answer_is_read_and_made_plain() {
        // [MS-TDS] 4.2: version 9.0.1399.
        let answer = [
            0x00, 0x00, 0x1a, 0x00, 0x06, 0x01, 0x00, 0x20, 0x00, 0x01, 0x02, 0x00, 0x21, 0x00, 0x01, 0x03, 0x00, 0x22,
            0x00, 0x00, 0x04, 0x00, 0x22, 0x00, 0x01, 0xff, 0x09, 0x00, 0x05, 0x77, 0x00, 0x00, 0x01, 0x00, 0x00,
        ];
        let read = greeting(&answer).unwrap();
        assert_eq!((read.version, read.encryption), ((9, 0, 1399), wish::ON));
        assert_eq!(greeting(&read.plain).unwrap().encryption, wish::CANNOT);
        assert_eq!(product(read.version), "SQL Server 2005 (9.0.1399)");
        for end in 0..answer.len() - 1 {
            // Whatever is cut off: no panic.
            let _ = greeting(&answer[..end]);
        }
        assert_eq!(greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None);
    }
}
