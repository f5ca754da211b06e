//! Documents of many blocks, given in odd pieces: no boundary of a block or of a read shows.

use std::io::{Cursor, Read, Seek, SeekFrom};

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::Settings;
use crate::decode::{Format, Item, JsonOptions, Resume};
use crate::diagnostic::Faults;

/// Answers a few bytes at a time, never as many as were asked for.
struct Pieces<'a>(Cursor<&'a [u8]>, usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

impl Seek for Pieces<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

/// Records of all lengths, one of them with a text that is longer than any block.
fn document(letters: &str) -> String {
    let mut text = String::from("<a>\n");
    for number in 0..600usize {
        let long = if number == 300 { 90_000 } else { number % 97 };
        let name: String = letters.chars().cycle().skip(number % 5).take(long).collect();
        text.push_str(&format!(
            "<r id='{number}' n='{}'><!-- {name} --><x>{name}</x><y><![CDATA[<{name}>]]></y></r>\n",
            name.len()
        ));
    }
    text + "</a>\n"
}

fn encoded(text: &str, encoding: &'static Encoding) -> Vec<u8> {
    match encoding.name() {
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => encoding.encode(text).0.into_owned(),
    }
}

/// The records as JSON, each with its bytes in the file.
fn records(content: &[u8], encoding: &'static Encoding, piece: usize, from: Resume) -> Vec<(String, Vec<u8>)> {
    let settings = Settings { encoding: Some(encoding), ..Settings::new("/a/r".to_owned()) };
    let decoder = Format::Xml(settings).compile(&|_| None, &Faults::new()).unwrap();
    let mut reader = decoder.reader(Pieces(Cursor::new(content), piece), from).unwrap();
    let mut records = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let Item::Record(record) = item else { panic!("{encoding:?}") };
        let mut json = Vec::new();
        decoder.write_json(&record, &JsonOptions::default(), &mut json).unwrap();
        let start = record.position.offset as usize;
        assert_eq!(&content[start..start + record.position.length as usize], record.raw);
        records.push((String::from_utf8(json).unwrap(), record.raw.to_vec()));
    }
    records
}

#[test]
fn no_boundary_shows_in_any_encoding() {
    let letters = [
        ("a\u{e4}\u{20ac}\u{df}z", vec![UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252]),
        // With characters of two, three and four bytes, and with second bytes that look like letters and signs.
        ("\u{8868}\u{30bd}b\u{ff71}", vec![UTF_8, UTF_16LE, SHIFT_JIS]),
        ("x\u{1f600}\u{65e5}", vec![UTF_8, UTF_16BE, UTF_16LE]),
    ];
    for (letters, encodings) in letters {
        let text = document(letters);
        let expected = records(text.as_bytes(), UTF_8, usize::MAX, Resume::default());
        assert_eq!(expected.len(), 600);
        for encoding in encodings {
            let content = encoded(&text, encoding);
            for piece in [usize::MAX, 4097, 61] {
                let found = records(&content, encoding, piece, Resume::default());
                assert_eq!(found.len(), expected.len(), "{encoding:?} {piece}");
                for ((found, raw), (expected, text)) in found.iter().zip(&expected) {
                    assert!(found == expected, "{encoding:?} {piece}: {found} is not {expected}");
                    let text = std::str::from_utf8(text).unwrap();
                    assert!(*raw == encoded(text, encoding), "{encoding:?} {piece}: {text}");
                }
            }
            // At the place of a record in the middle, behind the long one.
            let last = &encoded("<r id='550'", encoding)[..];
            let offset = content.windows(last.len()).position(|bytes| bytes == last).unwrap() as u64;
            let rest = records(&content, encoding, 5000, Resume { offset, records: 550, line: 0 });
            assert!(rest.len() == 50 && rest[0].0 == expected[550].0, "{encoding:?}");
        }
    }
}
