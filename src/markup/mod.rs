//! How an XML document says which encoding it is in. Files of records, schemas and what services answer all begin alike.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a document its declaration may reach, in bytes.
pub const SNIFFED: usize = 1024;

/// What the start of a document says of its encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Sure, by a byte order mark of so many bytes, or by the shape of the first character.
    Sure(&'static Encoding, usize),
    /// The label of `<?xml … encoding="…"?>`.
    Declared(String),
    /// Nothing: it is UTF-8.
    Nothing,
}

/// Looks at the first bytes of a document, [`SNIFFED`] at most. A declaration that says UTF-16 is no lie only where the
/// bytes say so, too. The fault says what is not read.
pub fn sniff(start: &[u8]) -> Result<Sniffed, String> {
    let unread = |what: &str| Err(format!("the file is in {what}, which is not read: have it sent in UTF-8"));
    match start {
        [0xEF, 0xBB, 0xBF, ..] => Ok(Sniffed::Sure(UTF_8, 3)),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, b'<', ..] | [b'<', 0, 0, 0, ..] => unread("UTF-32"),
        [0xFF, 0xFE, ..] => Ok(Sniffed::Sure(UTF_16LE, 2)),
        [0xFE, 0xFF, ..] => Ok(Sniffed::Sure(UTF_16BE, 2)),
        [b'<', 0, ..] => Ok(Sniffed::Sure(UTF_16LE, 0)),
        [0, b'<', ..] => Ok(Sniffed::Sure(UTF_16BE, 0)),
        // `<?xm` as EBCDIC has it.
        [0x4C, 0x6F, 0xA7, 0x94, ..] => unread("EBCDIC"),
        _ => Ok(declared(start).map_or(Sniffed::Nothing, Sniffed::Declared)),
    }
}

/// The label of `<?xml version="1.0" encoding="…"?>`. White space before it is not allowed, and common.
fn declared(start: &[u8]) -> Option<String> {
    let rest = start.trim_ascii_start().strip_prefix(b"<?xml")?;
    let declaration = &rest[..memchr::memmem::find(rest, b"?>")?];
    let at = memchr::memmem::find(declaration, b"encoding")? + b"encoding".len();
    let value = declaration.get(at..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = value.iter().position(|byte| byte == quote).filter(|_| matches!(quote, b'"' | b'\''))?;
    Some(String::from_utf8_lossy(&value[..end]).into_owned())
}

/// A whole document as text, without its byte order mark; `charset` is what was said beside it, by a header of HTTP. Bytes
/// that the encoding does not know are a fault.
pub fn text(bytes: &[u8], charset: Option<&str>) -> Result<String, String> {
    let start = &bytes[..bytes.len().min(SNIFFED)];
    let (encoding, mark) = match (sniff(start)?, charset) {
        (Sniffed::Sure(encoding, mark), _) => (encoding, mark),
        (Sniffed::Declared(label), _) => {
            let encoding = Encoding::for_label(label.as_bytes())
                .ok_or_else(|| format!("it declares the encoding `{label}`, which is not known"))?;
            // What could be read so far has one byte a character, whatever it says.
            (if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding }, 0)
        }
        (Sniffed::Nothing, Some(label)) => (Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8), 0),
        (Sniffed::Nothing, None) => (UTF_8, 0),
    };
    let (text, has_faults) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
    if has_faults {
        return Err(format!("it has bytes that are not {}", encoding.name()));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_document_is_read_in_the_encoding_it_says() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xE4'/>";
        assert!(text(latin, None).unwrap().ends_with("<a b='\u{e4}'/>"));
        let utf16: Vec<u8> = "\u{feff}<a>\u{e4}</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16, Some("utf-8")).unwrap(), "<a>\u{e4}</a>");
        assert_eq!(text(b"\xEF\xBB\xBF<a/>", None).unwrap(), "<a/>");
        assert_eq!(text(b"<a>\xE4</a>", Some("windows-1252")).unwrap(), "<a>\u{e4}</a>");
        assert_eq!(text(b"<a>\xE4</a>", None).unwrap_err(), "it has bytes that are not UTF-8");
        let lie = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>\u{e4}</a>";
        assert_eq!(text(lie.as_bytes(), None).unwrap(), lie);
        assert!(text(b"<?xml encoding='x-klingon'?>", None).unwrap_err().contains("x-klingon"));
        assert!(text(b"<\0\0\0", None).unwrap_err().contains("UTF-32"));
    }
}
