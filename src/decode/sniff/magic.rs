//! What a file is by the way it begins: for those that are neither rows nor fixed columns.

/// The kind, and what told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) kind: &'static str,
    pub(super) what: &'static str,
    pub(super) because: &'static str,
}

const fn known(kind: &'static str, what: &'static str, because: &'static str) -> Option<Known> {
    Some(Known { kind, what, because })
}

/// The kind of a file that begins so.
pub(super) fn kind(bytes: &[u8]) -> Option<Known> {
    let holds = |part: &[u8]| bytes.windows(part.len()).take(64 << 10).any(|window| window == part);
    match bytes {
        _ if bytes.starts_with(crate::decode::rows::MAGIC) => {
            return known("rows", "rows of a database, as they were landed", "it begins with TBROWS1");
        }
        [0x1F, 0x8B, ..] => return known("gzip", "compressed (gzip)", "it begins with 1F 8B"),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => return known("zstd", "compressed (zstd)", "it begins with 28 B5 2F FD"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => {
            return known("bzip2", "compressed (bzip2)", "it begins with BZh and the first digits of pi");
        }
        [b'P', b'K', 3, 4, ..] if holds(b"[Content_Types].xml") || holds(b"xl/") => {
            return known("xlsx", "an Excel workbook (.xlsx)", "it is a zip archive with a workbook's parts");
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => return known("zip", "a zip archive", "it begins with PK"),
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, ..] => {
            return known("ole", "an old Office document (an Excel .xls, perhaps)", "it begins with D0 CF 11 E0");
        }
        [b'%', b'P', b'D', b'F', b'-', ..] => return known("pdf", "a PDF document", "it begins with %PDF-"),
        _ => {}
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let is_mark = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b' ');
    if text.starts_with(b"ISA") && is_mark(text.get(3)) && text.get(3) == text.get(103) {
        return known("x12", "an X12 interchange", "it begins with an ISA segment of 106 characters");
    }
    if text.starts_with(b"UNA") && is_mark(text.get(4)) || text.starts_with(b"UNB+") {
        return known("edifact", "an EDIFACT interchange", "it begins with UNA or UNB");
    }
    if text.starts_with(b"EDI_DC") {
        return known("idoc", "SAP IDocs", "it begins with an EDI_DC control record");
    }
    let utf16 = matches!(bytes, [0xFF, 0xFE, b'<', 0, ..] | [0xFE, 0xFF, 0, b'<', ..]);
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'?' | b'!' | b'_');
    if utf16 || (text.first() == Some(&b'<') && text.get(1).is_some_and(is_name)) {
        return known("xml", "XML", "it begins with a tag");
    }
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    match text.first() {
        Some(b'{') if is_json(first_line) && first_line.len() < text.len() => {
            known("ndjson", "JSON, one value a line", "its first line is a JSON object")
        }
        Some(b'{' | b'[') if is_json(text) || matches!(text.get(1), Some(b'"' | b'{' | b'\n' | b'\r')) => {
            known("json", "JSON", "it begins with an object or array")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn beginnings() {
        let check = |bytes: &[u8], expected: Option<&str>| assert_eq!(kind(bytes).map(|known| known.kind), expected);
        check(b"\x1F\x8B\x08\0", Some("gzip"));
        check(b"BZh91AY&SY", Some("bzip2"));
        check(b"PK\x03\x04....a.txt", Some("zip"));
        check(b"PK\x03\x04....[Content_Types].xml", Some("xlsx"));
        check(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some("ole"));
        let isa = format!(
            "ISA*00*{:<10}*00*{:<10}*ZZ*{:<15}*ZZ*{:<15}*261031*1200*U*00401*000000001*0*P*>~GS",
            "", "", "SENDER", "RECEIVER"
        );
        check(isa.as_bytes(), Some("x12"));
        check(b"UNA:+.? 'UNB+UNOA:1", Some("edifact"));
        check(b"UNB+UNOC:3+A+B", Some("edifact"));
        check(b"EDI_DC40  100000", Some("idoc"));
        check(b"\xEF\xBB\xBF <?xml version=\"1.0\"?>", Some("xml"));
        check(b"\xFF\xFE<\0a\0", Some("xml"));
        check(b"{\"a\":1}\n{\"a\":2}\n", Some("ndjson"));
        check(b"[1,\n2]", Some("json"));
        check(b"a,b\n1,2\n", None);
        check(b"<5,>6\n", None);
        check(b"ISABEL,UNA\n", None);
        check(b"TBROWS1\n\x02\0\0\0{}", Some("rows"));
        check(b"", None);
    }
}
