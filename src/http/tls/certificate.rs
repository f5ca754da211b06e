//! What is read of a caller's certificate (RFC 5280), after TLS has found that an authority of ours vouches for it.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::web::der::{self, OBJECT, SEQUENCE};

/// The object identifier of a common name (2.5.4.3).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The object identifier of a subject's alternative names (2.5.29.17).
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, `[0]`.
const VERSION: u8 = 0xa0;
/// The extensions, `[3]`.
const EXTENSIONS: u8 = 0xa3;
/// Of an alternative name: `[1]`, `[2]`, `[6]`, texts of ASCII.
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

/// The names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of all of it.
    pub digest: [u8; 32],
    /// The subject's common name, where it has exactly one.
    pub common_name: Option<String>,
    /// Names of hosts, in lower case.
    pub dns: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
    /// Addresses of mail.
    pub emails: Vec<String>,
    /// The last moment at which it is good.
    pub until: Option<Timestamp>,
}

impl Certificate {
    /// Reads a certificate in DER. What cannot be read is no name.
    pub fn read(der: &[u8]) -> Certificate {
        Certificate { digest: Sha256::digest(der).into(), ..names(der).unwrap_or_default() }
    }

    /// [`Certificate::digest`] in hexadecimal.
    pub fn fingerprint(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is good no more. TLS looks at that once, when a connection begins, and not where a session is resumed.
    pub fn has_ended(&self) -> bool {
        self.until.is_some_and(|until| until < Timestamp::now())
    }
}

fn names(der: &[u8]) -> Option<Certificate> {
    let (certificate, _) = der::of(der, SEQUENCE)?;
    let (rest, _) = der::of(certificate, SEQUENCE)?;
    let rest = match der::any(rest)? {
        (VERSION, _, rest) => rest,
        _ => rest,
    };
    // Serial number, algorithm, issuer, validity.
    let (_, _, rest) = der::any(rest)?;
    let (_, rest) = der::of(rest, SEQUENCE)?;
    let (_, rest) = der::of(rest, SEQUENCE)?;
    let (validity, rest) = der::of(rest, SEQUENCE)?;
    let (subject, rest) = der::of(rest, SEQUENCE)?;
    let (_key, rest) = der::of(rest, SEQUENCE)?;
    let until = der::each(validity).nth(1).and_then(|(kind, text)| moment(kind, text));
    let mut found = Certificate { common_name: common_name(subject), until, ..Certificate::default() };
    let extensions = der::each(rest).find(|(tag, _)| *tag == EXTENSIONS).map(|(_, content)| content);
    if let Some(extensions) = extensions.and_then(|content| der::of(content, SEQUENCE)) {
        for (_, extension) in der::each(extensions.0) {
            alternative_names(extension, &mut found);
        }
    }
    Some(found)
}

/// A moment (RFC 5280 section 4.1.2.5): `YYMMDDHHMMSSZ` of the years from 1950 to 2049, or `YYYYMMDDHHMMSSZ`; the end of the year
/// 9999 is none, which is what it means.
fn moment(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    let part = |from: usize| rest.get(from..from + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    (rest.get(10..) == Some("Z")).then(|| format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok())?
}

fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = der::each(subject).flat_map(|(_, set)| der::each(set)).filter_map(|(_, attribute)| {
        let (object, rest) = der::of(attribute, OBJECT)?;
        let (kind, text, _) = der::any(rest)?;
        (object == COMMON_NAME && matches!(kind, UTF8_STRING | PRINTABLE_STRING | IA5_STRING)).then_some(text)
    });
    let only = found.next().filter(|_| found.next().is_none())?;
    std::str::from_utf8(only).ok().map(str::to_owned)
}

fn alternative_names(extension: &[u8], found: &mut Certificate) {
    let Some((object, rest)) = der::of(extension, OBJECT) else { return };
    if object != ALTERNATIVE_NAMES {
        return;
    }
    // Whether it is critical may stand in between.
    let content = der::each(rest).find(|(tag, _)| *tag == OCTET_STRING).and_then(|(_, text)| der::of(text, SEQUENCE));
    for (kind, text) in content.into_iter().flat_map(|(names, _)| der::each(names)) {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        match kind {
            EMAIL => found.emails.push(text.to_owned()),
            DNS => found.dns.push(text.to_ascii_lowercase()),
            URI => found.uris.push(text.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Certificate, GENERALIZED_TIME, UTC_TIME, moment};
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;
    use std::process::Command;

    /// What OpenSSL makes of a subject and alternative names.
    fn made(subject: &str, names: &str) -> Certificate {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key"), folder.path().join("cert"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-outform", "DER"])
            .args(["-subj", subject, "-utf8", "-addext", names, "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Certificate::read(&std::fs::read(certificate).unwrap())
    }

    #[test]
    fn names_are_those_that_openssl_wrote() {
        let read =
            made("/O=Acme/CN=web sh\u{f6}p", "subjectAltName=DNS:Shop.example,URI:spiffe://acme/shop,email:a@b.c");
        assert_eq!(read.common_name.as_deref(), Some("web sh\u{f6}p"));
        assert_eq!(
            (read.dns.clone(), read.uris.clone()),
            (vec!["shop.example".to_owned()], vec!["spiffe://acme/shop".to_owned()])
        );
        assert_eq!((read.emails.clone(), read.fingerprint().len()), (vec!["a@b.c".to_owned()], 64));
        // Two common names are none.
        let read = made("/CN=a/CN=b", "subjectAltName=critical,DNS:x");
        assert_eq!((read.common_name, read.dns), (None, vec!["x".to_owned()]));
    }

    #[test]
    fn it_has_an_end() {
        let read = made("/CN=a", "subjectAltName=DNS:x");
        // A month, as openssl makes them.
        let left = read.until.unwrap().duration_since(Timestamp::now());
        assert!((29..31).contains(&left.as_hours().div_euclid(24)), "{left:?}");
        assert!(!read.has_ended());
        assert!(Certificate { until: Some(Timestamp::now() - SignedDuration::from_secs(1)), ..read }.has_ended());
        let check = |kind: u8, text: &str, expected: Option<&str>| {
            assert_eq!(moment(kind, text.as_bytes()).map(|moment| moment.to_string()).as_deref(), expected, "{text}");
        };
        check(UTC_TIME, "261129145959Z", Some("2026-11-29T14:59:59Z"));
        check(UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00Z"));
        check(GENERALIZED_TIME, "99991231235959Z", None);
        for odd in ["", "26", "261329145959Z", "2611291459Z", "261129145959+0100", "2611291459590Z", "\u{e9}611291459Z"]
        {
            check(UTC_TIME, odd, None);
        }
        check(0x16, "261129145959Z", None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Certificate::read(&bytes);
            Certificate::read(&[b"\x30\x40\x30\x3e\xa0\x01\x02\x02\x01\x01\x30\x00\x30\x00\x30\x00".as_slice(), &bytes].concat());
        }
    }
}
