//! Pages by name, and their characters both ways.

use super::{CodePage, Family, tables};
use std::collections::HashMap;

fn check(page: &str, bytes: &[u8], expected: &str) {
    assert_eq!(CodePage::find(page).unwrap().decode(bytes).as_deref(), Ok(expected), "{page}");
}

#[test]
fn names_in_all_spellings() {
    for name in ["cp037", "CP037", "ibm037", "IBM-037", "ibm_037", "cp37", "037", "37", "ccsid 37", "CCSID00037"] {
        assert_eq!(CodePage::find(name).unwrap().name(), "cp037", "{name}");
    }
    for name in ["windows-1252", "Windows1252", "cp1252", "WIN-1252"] {
        assert_eq!(CodePage::find(name).unwrap().name(), "windows-1252", "{name}");
    }
    assert_eq!(CodePage::find("latin1").unwrap().name(), "iso-8859-1");
    assert_eq!(CodePage::find("ISO8859-15").unwrap().name(), "iso-8859-15");
    assert_eq!(CodePage::find("UTF8").unwrap().name(), "utf-8");
    assert_eq!(CodePage::find("IBM01140").unwrap().name(), "cp1140");
    assert_eq!(CodePage::find("shift_jis").unwrap().name(), "Shift_JIS");
}

#[test]
fn an_unknown_name_names_the_nearest() {
    assert_eq!(CodePage::find("cp0377").unwrap_err().nearest, Some("cp037"));
    assert_eq!(CodePage::find("windos-1252").unwrap_err().nearest, Some("windows-1252"));
    assert_eq!(CodePage::find("klingon").unwrap_err().nearest, None);
    // It has no place in a file of lines and columns of bytes.
    assert!(CodePage::find("utf-16").is_err());
}

#[test]
fn no_name_stands_for_two_pages() {
    let mut seen = HashMap::new();
    for page in tables::PAGES {
        for name in page.names {
            let before = seen.insert(super::normalised(name), page.names[0]);
            assert!(before.is_none_or(|other| other == page.names[0]), "{name}: {before:?}");
        }
    }
}

#[test]
fn every_page_is_whole() {
    for page in tables::PAGES {
        let expected = if page.family == Family::Ebcdic { 0xC0 } else { 0x80 };
        assert_eq!(page.chars.chars().count(), expected, "{}", page.names[0]);
        let found = CodePage::find(page.names[0]).unwrap();
        // The digits, which the number formats rely on, stand where they belong.
        let zero = if page.family == Family::Ebcdic { 0xF0u8 } else { b'0' };
        for digit in 0..10 {
            assert_eq!(found.decode(&[zero + digit]).unwrap(), digit.to_string(), "{}", page.names[0]);
        }
        assert_eq!(found.decode(&[found.blank()]).unwrap(), " ");
    }
}

/// Windows pages agree with a library that other people keep, byte by byte.
#[test]
fn windows_and_iso_pages_agree_with_encoding_rs() {
    for page in tables::PAGES.iter().filter(|p| p.names[0].starts_with("windows-") || p.names[0] == "koi8-r") {
        let theirs = encoding_rs::Encoding::for_label(page.names[0].as_bytes()).unwrap();
        let ours = CodePage::find(page.names[0]).unwrap();
        for byte in 0u8..=255 {
            // WHATWG turns holes into C1 controls; here they are holes.
            if let Ok(text) = ours.decode(&[byte]) {
                assert_eq!(text, theirs.decode_without_bom_handling(&[byte]).0, "{} {byte:02X}", page.names[0]);
            }
        }
    }
}

#[test]
fn national_characters() {
    check("cp037", b"\xC8\xC5\xD3\xD3\xD6\x40\x4A\xB0\xBA\xBB", "HELLO ¢^[]");
    check("cp273", b"\xC0\x6A\xD0\xA1\x4A\xE0\x5A\x7C", "äöüßÄÖÜ§");
    check("cp1140", b"\x9F", "€");
    check("cp1141", b"\x9F\xC0", "€ä");
    check("cp500", b"\x4A\x5A\x4F", "[]!");
    check("cp1047", b"\xAD\xBD\x5F", "[]^");
    check("cp850", b"M\x81ller Stra\xE1e", "Müller Straße");
    check("cp858", b"\xD5", "€");
    check("windows-1252", b"\x80 \xFC", "€ ü");
    check("utf-8", "grün €".as_bytes(), "grün €");
    check("shift_jis", b"\x83e\x83X\x83g", "テスト");
}

#[test]
fn a_byte_without_a_character_is_named() {
    let fault = |page: &str, bytes: &[u8]| {
        let unmappable = CodePage::find(page).unwrap().decode(bytes).unwrap_err();
        (unmappable.index, unmappable.byte)
    };
    assert_eq!(fault("windows-1252", b"ab\x81"), (2, 0x81));
    assert_eq!(fault("utf-8", b"ab\xFFc"), (2, 0xFF));
    assert_eq!(fault("cp274", b"\xC1\x41"), (1, 0x41));
    assert_eq!(fault("shift_jis", b"ab\xFFc").0, 2);
}

#[test]
fn the_json_table_says_what_decode_says() {
    for name in ["cp037", "cp875", "windows-1252", "cp850"] {
        let page = CodePage::find(name).unwrap();
        let tables = page.tables().unwrap();
        for byte in 0u8..=255 {
            let entry = tables.json[usize::from(byte)];
            let escaped = &entry[..usize::from(entry[7])];
            match page.decode(&[byte]) {
                Err(_) => assert_eq!(escaped, b""),
                Ok(text) => {
                    let json = format!("\"{}\"", std::str::from_utf8(escaped).unwrap());
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                    let plain = tables.plain[usize::from(byte)];
                    assert!(plain == super::NOT_PLAIN || text.as_bytes() == [plain]);
                }
            }
        }
    }
}

#[test]
fn double_byte_characters_between_shifts() {
    // What glibc's iconv writes for these texts.
    check("cp930", b"\xC1\xC2\x0E\x45\x62\x45\x66\x48\xE7\x0F\x81\xF1", "AB日本語ｱ1");
    check("cp939", b"\x0E\x45\x5C\x45\x8F\x45\xCA\x0F\xF1", "中国文1");
    check("cp933", b"\xC1\x0E\xD0\x65\x8B\x69\x61\xF5\x57\x65\x0F", "A한글中文");
    check("cp935", b"\x0E\x54\xD4\x49\x5E\x5B\xCF\x4D\x9B\x57\xC3\x0F\xF1", "日本中国文1");
    check("cp937", b"\x0E\x4C\xC9\x4D\x7B\x5F\xA2\x4C\x84\x4C\xC5\x0F\xF1", "日本語中文1");
}

#[test]
fn shifts_that_do_not_close() {
    let fault = |bytes: &[u8]| {
        let unmappable = CodePage::find("cp930").unwrap().decode(bytes).unwrap_err();
        (unmappable.index, unmappable.byte)
    };
    assert_eq!(fault(b"\xC1\x0E\x45\x62"), (1, 0x0E));
    assert_eq!(fault(b"\xC1\x0E\x45\x0F"), (2, 0x45));
    assert_eq!(fault(b"\xC1\x0E\xFE\xFE\x0F"), (2, 0xFE));
    assert_eq!(fault(b"\xC1\x0F"), (1, 0x0F));
}

#[test]
fn double_bytes_alone() {
    let page = CodePage::find("cp930").unwrap();
    assert_eq!(page.decode_double(b"\x45\x62\x40\x40").as_deref(), Ok("日\u{3000}"));
    assert_eq!(page.encode_double("日 ").unwrap(), b"\x45\x62\x40\x40");
    assert_eq!(page.decode_double(b"\x45\x62\x40").unwrap_err().index, 2);
    assert!(CodePage::find("cp037").unwrap().decode_double(b"\x45\x62").is_err());
}

/// Every character of every page is written as bytes that are read as it.
#[test]
fn every_character_finds_its_way_back() {
    for page in tables::PAGES {
        let page = CodePage::find(page.names[0]).unwrap();
        for byte in 0u8..=255 {
            let bytes = [byte];
            let Ok(text) = page.decode(&bytes) else { continue };
            let bytes = page.encode(&text).unwrap_or_else(|error| panic!("{} {byte:02X}: {error}", page.name()));
            assert_eq!(page.decode(&bytes).unwrap(), text, "{} {byte:02X}", page.name());
        }
        if !page.is_mixed() {
            continue;
        }
        let mut characters = 0;
        for code in 0x4040u16..0xFEFF {
            let Ok(text) = page.decode_double(&code.to_be_bytes()) else { continue };
            characters += 1;
            let bytes = page.encode_double(&text).unwrap();
            assert_eq!(page.decode_double(&bytes).unwrap(), text, "{} {code:04X}", page.name());
            // The single-byte form of a character, where there is one, is the shorter one.
            let bytes = page.encode(&text).unwrap();
            assert_eq!(page.decode(&bytes).unwrap(), text, "{} {code:04X}", page.name());
        }
        assert!(characters > 9_000, "{}", page.name());
    }
}

#[test]
fn a_character_without_bytes_is_named() {
    let fault = |page: &str, text: &str| {
        let unencodable = CodePage::find(page).unwrap().encode(text).unwrap_err();
        (unencodable.index, unencodable.char)
    };
    assert_eq!(fault("cp037", "ab€"), (2, '€'));
    assert_eq!(fault("cp930", "日ÿ"), (3, 'ÿ'));
    assert_eq!(fault("shift_jis", "テ€"), (3, '€'));
    assert_eq!(CodePage::find("gb18030").unwrap().encode("€𝄞").map(|bytes| bytes.len()), Ok(6));
}

#[test]
fn pages_of_a_library() {
    check("x-mac-cyrillic", b"\x80\xDF", "Ая");
    check("iso-8859-8-i", b"\xE0", "א");
    check("windows-874", b"\xA1", "ก");
    assert_eq!(CodePage::find("iso-8859-8-i").unwrap().encode("א").unwrap(), b"\xE0");
}
