//! Separators: where they are said (ISA, UNA, UNB), and how they cut a segment.
//!
//! X12.5 puts them at fixed places of the ISA segment: the element separator behind `ISA`, the repetition separator in
//! ISA11 (from version 00402 on), the component separator in ISA16, the segment terminator behind it. ISO 9735 has
//! defaults that the service string advice UNA overrides; its level B of 1988 used control characters instead.

use super::segment::{elements, text_of};
use crate::decode::CodePage;

/// Which of the two standards an interchange follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    /// ASC X12.
    X12,
    /// UN/EDIFACT, ISO 9735.
    Edifact,
}

impl Standard {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Standard::X12 => "X12",
            Standard::Edifact => "EDIFACT",
        }
    }
}

/// The bytes that cut an interchange into segments, elements and their parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separators {
    pub(super) element: u8,
    pub(super) component: u8,
    pub(super) repetition: Option<u8>,
    /// Takes the meaning off the byte behind it.
    pub(super) release: Option<u8>,
    pub(super) segment: u8,
}

/// Data that stands in JSON as it is.
pub(super) const PLAIN: u8 = 0;
/// Data that JSON escapes, or that is no ASCII.
pub(super) const SPECIAL: u8 = 1;
/// From here on a byte is no data.
pub(super) const ELEMENT: u8 = 2;
pub(super) const COMPONENT: u8 = 3;
pub(super) const REPETITION: u8 = 4;
pub(super) const RELEASE: u8 = 5;

impl Separators {
    /// What each byte means inside a segment.
    pub(super) fn classes(&self) -> [u8; 256] {
        let mut classes = [SPECIAL; 256];
        for byte in 0x20..0x7Fu8 {
            if byte != b'"' && byte != b'\\' {
                classes[usize::from(byte)] = PLAIN;
            }
        }
        classes[usize::from(self.component)] = COMPONENT;
        if let Some(repetition) = self.repetition {
            classes[usize::from(repetition)] = REPETITION;
        }
        if let Some(release) = self.release {
            classes[usize::from(release)] = RELEASE;
        }
        classes[usize::from(self.element)] = ELEMENT;
        classes
    }

    /// Two of them that are the same byte, or one that could be data.
    fn fault(&self) -> Option<String> {
        let all = [Some(self.element), Some(self.component), self.repetition, self.release, Some(self.segment)];
        let all: Vec<u8> = all.into_iter().flatten().collect();
        if let Some(byte) = all.iter().find(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()) {
            return Some(format!("the separator {}", shown(*byte)));
        }
        let twice = all.iter().enumerate().find(|(index, byte)| all[..*index].contains(byte));
        twice.map(|(_, byte)| format!("{} in two roles", shown(*byte)))
    }
}

/// A byte as people see it.
pub(super) fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("byte {byte:02X}") }
}

/// The start of an interchange, understood.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) standard: Standard,
    pub(super) separators: Separators,
    /// The decimal mark of the service string advice (UNA) before UNB, where there is one.
    pub(super) advice: Option<u8>,
    /// Where the ISA or UNB segment begins, relative to the start.
    pub(super) header: usize,
    /// Its length without the terminator.
    pub(super) length: usize,
    pub(super) encoding: CodePage,
}

/// Why the start of an interchange is not understood.
#[derive(Debug)]
pub(super) enum NoStart {
    /// More bytes are needed to tell.
    Incomplete,
    /// What was expected, what is there.
    Bad(&'static str, String),
}

/// True where an interchange may begin: ISA, UNA or UNB and something that can be a separator.
pub(super) fn may_start(bytes: &[u8]) -> bool {
    let separator = |byte: &u8| !byte.is_ascii_alphanumeric() && byte.is_ascii();
    matches!(bytes, [b'I', b'S', b'A', byte, ..] | [b'U', b'N', b'A' | b'B', byte, ..] if separator(byte))
}

/// No ISA segment is longer: its 16 elements have 87 bytes, here each may be as long as the longest twice over.
const LONGEST_ELEMENT: usize = 35;

/// Reads the start of an interchange. `encoding` is what the settings say, in the place of what the interchange says.
pub(super) fn start(bytes: &[u8], encoding: Option<&CodePage>) -> Result<Start, NoStart> {
    match bytes {
        [b'I', b'S', b'A', ..] => isa(bytes, encoding),
        [b'U', b'N', b'A', ..] => {
            let Some([component, element, decimal, release, repetition, segment]) = bytes.get(3..9) else {
                return Err(NoStart::Incomplete);
            };
            let optional = |byte: u8| (byte != b' ').then_some(byte);
            let separators = Separators {
                element: *element,
                component: *component,
                repetition: optional(*repetition),
                release: optional(*release),
                segment: *segment,
            };
            let blanks = bytes[9..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            unb(bytes, 9 + blanks, separators, Some(*decimal), encoding)
        }
        [b'U', b'N', b'B', element, ..] => {
            let separators = match element {
                b'+' => Separators {
                    element: b'+',
                    component: b':',
                    repetition: Some(b'*'),
                    release: Some(b'?'),
                    segment: b'\'',
                },
                // Level B of ISO 9735:1988: information separators 3, 1 and 4.
                0x1D => Separators { element: 0x1D, component: 0x1F, repetition: None, release: None, segment: 0x1C },
                other => return Err(NoStart::Bad("UNB+, or a UNA before UNB", format!("UNB and {}", shown(*other)))),
            };
            unb(bytes, 0, separators, None, encoding)
        }
        _ => Err(NoStart::Incomplete),
    }
}

fn isa(bytes: &[u8], encoding: Option<&CodePage>) -> Result<Start, NoStart> {
    let Some(&element) = bytes.get(3) else { return Err(NoStart::Incomplete) };
    let mut at = 3;
    let mut version: &[u8] = b"";
    let mut eleventh: &[u8] = b"";
    for number in 1..=15 {
        let from = at + 1;
        let rest = bytes.get(from..).unwrap_or_default();
        let window = &rest[..rest.len().min(LONGEST_ELEMENT + 1)];
        let Some(length) = memchr::memchr(element, window) else {
            if rest.len() <= LONGEST_ELEMENT {
                return Err(NoStart::Incomplete);
            }
            let found = format!("ISA{number:02} of more than {LONGEST_ELEMENT} bytes");
            return Err(NoStart::Bad("an ISA segment with 16 elements", found));
        };
        match number {
            11 => eleventh = &window[..length],
            12 => version = &window[..length],
            _ => {}
        }
        at = from + length;
    }
    let (Some(&component), Some(&segment)) = (bytes.get(at + 1), bytes.get(at + 2)) else {
        return Err(NoStart::Incomplete);
    };
    // Until version 00402 ISA11 named the body that set the standard ("U"); it is no separator then.
    let repetition = match eleventh {
        [byte] if version >= b"00402".as_slice() && !byte.is_ascii_alphanumeric() && *byte != b' ' => Some(*byte),
        _ => None,
    };
    let separators = Separators { element, component, repetition, release: None, segment };
    if let Some(found) = separators.fault() {
        return Err(NoStart::Bad("distinct separators in the ISA segment that can be no data", found));
    }
    let encoding = encoding.cloned().unwrap_or_else(CodePage::utf8);
    Ok(Start { standard: Standard::X12, separators, advice: None, header: 0, length: at + 2, encoding })
}

/// The most bytes of a UNB segment: what ISO 9735 allows, and room for released characters.
const LONGEST_UNB: usize = 1024;

fn unb(
    bytes: &[u8],
    header: usize,
    mut separators: Separators,
    advice: Option<u8>,
    encoding: Option<&CodePage>,
) -> Result<Start, NoStart> {
    let rest = bytes.get(header..).unwrap_or_default();
    let tag = [b'U', b'N', b'B', separators.element];
    match rest.first_chunk::<4>() {
        None => return Err(NoStart::Incomplete),
        Some(found) if *found != tag => {
            return Err(NoStart::Bad("UNB behind UNA", format!("`{}`", String::from_utf8_lossy(found))));
        }
        Some(_) => {}
    }
    let looked = &rest[..rest.len().min(LONGEST_UNB)];
    let Some(length) = super::segment::find_end(looked, &separators) else {
        if rest.len() < LONGEST_UNB {
            return Err(NoStart::Incomplete);
        }
        return Err(NoStart::Bad("a UNB segment with its terminator", format!("none within {LONGEST_UNB} bytes")));
    };
    let content = &looked[..length];
    let mut level = String::new();
    let mut version = 0;
    if let Some(first) = elements(content, &separators).nth(1) {
        let mut parts = first.split(|byte| *byte == separators.component);
        level = text_of(parts.next().unwrap_or_default(), &separators);
        version = match parts.next() {
            Some([digit @ b'1'..=b'4', ..]) => digit - b'0',
            _ => 0,
        };
    }
    if version == 0 {
        return Err(NoStart::Bad("syntax version 1 to 4 in the second component of UNB01", "another one".to_owned()));
    }
    if version < 4 {
        // What stands there was reserved before version 4.
        separators.repetition = None;
    }
    if let Some(found) = separators.fault() {
        return Err(NoStart::Bad("distinct separators that can be no data", found));
    }
    let encoding = match (encoding, code_page(&level)) {
        (Some(encoding), _) => encoding.clone(),
        (None, Some(page)) => page,
        (None, None) => {
            let expected =
                "a syntax level in UNB01 that names a code page (UNOA to UNOK, UNOW, UNOY); else say `encoding`";
            return Err(NoStart::Bad(expected, format!("`{level}`")));
        }
    };
    Ok(Start { standard: Standard::Edifact, separators, advice, header, length, encoding })
}

/// The code page of a syntax level: code list 0001 of the UN/EDIFACT service code lists (40100, 2003), and UNOW of
/// later ones. Not UNOX, which switches pages within the text (ISO 2022).
pub(super) fn code_page(level: &str) -> Option<CodePage> {
    let name = match level {
        "UNOA" | "UNOB" => "us-ascii",
        "UNOC" => "iso-8859-1",
        "UNOD" => "iso-8859-2",
        "UNOE" => "iso-8859-5",
        "UNOF" => "iso-8859-7",
        "UNOG" => "iso-8859-3",
        "UNOH" => "iso-8859-4",
        "UNOI" => "iso-8859-6",
        "UNOJ" => "iso-8859-8",
        "UNOK" => "iso-8859-9",
        "UNOW" | "UNOY" => "utf-8",
        _ => return None,
    };
    CodePage::find(name).ok()
}

#[cfg(test)]
mod tests {
    use super::{NoStart, Standard, start};

    const ISA: &[u8] = b"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *261031*0102*^*00501*000000001*0*P*:~GS*";

    #[test]
    fn separators_of_isa() {
        let found = start(ISA, None).unwrap();
        assert_eq!((found.standard, found.length, found.separators.segment), (Standard::X12, 105, b'~'));
        assert_eq!((found.separators.repetition, found.separators.component), (Some(b'^'), b':'));
        // Before 00402 the same place has the letter U.
        let old = String::from_utf8_lossy(ISA).replace("*^*00501", "*U*00401");
        assert_eq!(start(old.as_bytes(), None).unwrap().separators.repetition, None);
        // Elements that were cut short by a sender.
        let short = b"ISA|00||00||ZZ|S|ZZ|R|261031|0102|U|00401|1|0|P|>\n";
        let found = start(short, None).unwrap();
        assert_eq!(
            (found.separators.segment, found.separators.component, found.length),
            (b'\n', b'>', short.len() - 1)
        );
        for length in 3..106 {
            assert!(matches!(start(&ISA[..length], None), Err(NoStart::Incomplete)), "{length}");
        }
    }

    #[test]
    fn separators_that_cannot_be() {
        let bad = |from: &str, to: &str| {
            let text = String::from_utf8_lossy(ISA).replace(from, to);
            match start(text.as_bytes(), None) {
                Err(NoStart::Bad(_, found)) => found,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(bad("P*:~", "P**~"), "`*` in two roles");
        assert_eq!(bad("P*:~", "P*:G"), "the separator `G`");
        assert_eq!(
            bad("ZZ*SENDER         *ZZ", "ZZ*SENDER                                        *ZZ"),
            "ISA06 of more than 35 bytes"
        );
    }

    #[test]
    fn separators_of_edifact() {
        let page = |text: &[u8]| start(text, None).map(|start| (start.separators.repetition, start.encoding.name()));
        assert_eq!(page(b"UNB+UNOC:3+S+R+261031:0102+1'").unwrap(), (None, "iso-8859-1"));
        assert_eq!(page(b"UNB+UNOY:4+S+R+20261031:0102+1'").unwrap(), (Some(b'*'), "utf-8"));
        assert_eq!(page(b"UNA:+.? '\r\nUNB+UNOA:2+S+R+261031:0102+1'").unwrap(), (None, "us-ascii"));
        assert_eq!(page(b"UNA:+,?*~UNB+UNOD:4+S+R+261031:0102+1~").unwrap(), (Some(b'*'), "iso-8859-2"));
        assert_eq!(page(b"UNB\x1dUNOB\x1f1\x1dS\x1dR\x1d261031\x1f0102\x1d1\x1c").unwrap(), (None, "us-ascii"));
        let released = start(b"UNB+UNOA:3+S?'S+R+261031:0102+1'", None).unwrap();
        assert_eq!(released.length, 31);
        assert!(matches!(page(b"UNB+UNOX:3+S+R+261031:0102+1'"), Err(NoStart::Bad(_, found)) if found == "`UNOX`"));
        assert!(matches!(page(b"UNB+UNOA:7+S+R+261031:0102+1'"), Err(NoStart::Bad(..))));
        assert!(matches!(page(b"UNB*UNOA:3+S+R+261031:0102+1'"), Err(NoStart::Bad(..))));
        assert!(matches!(page(b"UNA:+.? 'FOO"), Err(NoStart::Incomplete)));
        assert!(matches!(page(b"UNA:+.? 'FOO+"), Err(NoStart::Bad(..))));
        assert!(matches!(page(b"UNB+UNOA:3+S+R"), Err(NoStart::Incomplete)));
    }
}
