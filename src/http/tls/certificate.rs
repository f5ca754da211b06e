//! What is read of a caller's certificate (RFC 5280), after TLS has found that an authority of ours vouches for it.

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
    let (_, rest) = der::of(rest, SEQUENCE)?;
    let (subject, rest) = der::of(rest, SEQUENCE)?;
    let (_key, rest) = der::of(rest, SEQUENCE)?;
    let mut found = Certificate { common_name: common_name(subject), ..Certificate::default() };
    let extensions = der::each(rest).find(|(tag, _)| *tag == EXTENSIONS).map(|(_, content)| content);
    if let Some(extensions) = extensions.and_then(|content| der::of(content, SEQUENCE)) {
        for (_, extension) in der::each(extensions.0) {
            alternative_names(extension, &mut found);
        }
    }
    Some(found)
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
    use super::Certificate;
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

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Certificate::read(&bytes);
            Certificate::read(&[b"\x30\x40\x30\x3e\xa0\x01\x02\x02\x01\x01\x30\x00\x30\x00\x30\x00".as_slice(), &bytes].concat());
        }
    }
}
