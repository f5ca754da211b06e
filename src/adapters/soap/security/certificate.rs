//! The few things that are read of a certificate (RFC 5280) that somebody has given us himself: until when it is good,
//! and its key. Whom to trust is decided elsewhere.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::web::der::{OBJECT, SEQUENCE, any, of};

/// The object identifier of RSA keys, `rsaEncryption` (RFC 8017).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// What is read of a certificate.
pub(super) struct Read<'c> {
    not_before: Timestamp,
    not_after: Timestamp,
    /// The `RSAPublicKey`; `None` for other keys.
    pub(super) rsa_key: Option<&'c [u8]>,
}

/// From when until when a certificate is good; `None` when that cannot be read.
pub(in crate::adapters::soap) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    read(der).map(|read| (read.not_before, read.not_after))
}

/// Reads a certificate in DER.
pub(super) fn read(der: &[u8]) -> Option<Read<'_>> {
    let (certificate, _) = of(der, SEQUENCE)?;
    let (rest, _) = of(certificate, SEQUENCE)?;
    // The version may be absent; then come serial number, algorithm, issuer.
    let rest = match any(rest)? {
        (VERSION, _, rest) => rest,
        _ => rest,
    };
    let (_, _, rest) = any(rest)?;
    let (_, rest) = of(rest, SEQUENCE)?;
    let (_, rest) = of(rest, SEQUENCE)?;
    let (validity, rest) = of(rest, SEQUENCE)?;
    let (kind, text, after) = any(validity)?;
    let not_before = time(kind, text)?;
    let (kind, text, _) = any(after)?;
    let not_after = time(kind, text)?;
    // The subject.
    let (_, rest) = of(rest, SEQUENCE)?;
    let (key, _) = of(rest, SEQUENCE)?;
    let (algorithm, key) = of(key, SEQUENCE)?;
    let (object, _) = of(algorithm, OBJECT)?;
    let (bits, _) = of(key, BIT_STRING)?;
    // No bit is unused.
    let rsa_key = bits.strip_prefix(&[0]).filter(|_| object == RSA);
    Some(Read { not_before, not_after, rsa_key })
}

/// A time in UTC, as certificates have it: two digits of the year until 2049, four from then on.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    // The last second of the year 9999 says that it never ends.
    Some(TimeZone::UTC.to_zoned(time).map_or(Timestamp::MAX, |time| time.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::{GENERALIZED_TIME, Timestamp, UTC_TIME, read, time};
    use proptest::prelude::*;

    #[test]
    fn times() {
        let said = |kind, text: &str| time(kind, text.as_bytes()).map(|time| time.to_string());
        assert_eq!(said(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(said(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(said(GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        assert_eq!(time(GENERALIZED_TIME, b"99991231235959Z"), Some(Timestamp::MAX));
        assert_eq!(said(UTC_TIME, "991331235959Z"), None);
        assert_eq!(said(UTC_TIME, "9912312359Z"), None);
        assert_eq!(said(UTC_TIME, "\u{e4}\u{e4}"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            read(&bytes);
            read(&[b"\x30\x40\x30\x3e\xa0\x01\x02\x02\x01\x01\x30\x00\x30\x00".as_slice(), &bytes].concat());
        }
    }
}
