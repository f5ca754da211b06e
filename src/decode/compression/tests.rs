//! Compressed data that other programs wrote, cut, changed and looked at from every place.

use std::io::{Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;

use super::{Compression, Damage, Input, Packing};
use crate::record::RejectCode;

/// Files that were packed by other programs: see `fixtures/decode/compressed/generate.py`.
macro_rules! fixture {
    ($name:literal) => {
        (include_bytes!(concat!("../../../fixtures/decode/compressed/", $name))).as_slice()
    };
}

const PLAIN: &[u8] = fixture!("rows.csv");

fn packed() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("gzip", fixture!("rows.csv.gz")),
        ("bzip2", fixture!("rows.csv.bz2")),
        ("zstd", fixture!("rows.csv.zst")),
        ("zip", fixture!("deflate.zip")),
        ("zip", fixture!("stored.zip")),
        ("zip", fixture!("bzip2.zip")),
        ("zip", fixture!("streamed.zip")),
    ]
}

/// As [`packed`], of a table so small that it can be cut at every byte.
fn small() -> Vec<(&'static str, Vec<u8>)> {
    use std::io::Write;
    let text = b"NO;NAME\n1;a\n2;bb\n3;ccc\n".repeat(8);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&text).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&text).unwrap();
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(&text).unwrap();
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
        ("zstd", zstd.finish().unwrap()),
        ("zip", fixture!("several.zip").to_vec()),
    ]
}

fn open<'a>(content: &'a [u8], settings: &Compression) -> std::io::Result<Input<Cursor<&'a [u8]>>> {
    settings.open(Cursor::new(content), false)
}

/// Everything that can be had, and the damage that ends it.
fn unpack(content: &[u8], settings: &Compression) -> (Vec<u8>, Option<Damage>) {
    let mut bytes = Vec::new();
    let read = open(content, settings).and_then(|mut input| input.read_to_end(&mut bytes));
    let damage = read.err().map(|error| Damage::of(&error).cloned().unwrap_or_else(|| panic!("{error}")));
    (bytes, damage)
}

fn with(packing: Packing) -> Compression {
    Compression { packing, ..Compression::default() }
}

fn member(pattern: &str) -> Compression {
    Compression { member: Some(glob::Pattern::new(pattern).unwrap()), ..Compression::default() }
}

#[test]
fn what_others_packed_is_unpacked() {
    for (name, content) in packed() {
        assert_eq!(unpack(content, &Compression::default()), (PLAIN.to_vec(), None), "{name}");
        let declared = Packing::WORDS.iter().find(|(word, _)| *word == name).unwrap().1;
        assert_eq!(unpack(content, &with(declared)), (PLAIN.to_vec(), None), "{name}");
    }
    let only = |packing| Compression { packing, ..member("rows.csv") };
    assert_eq!(unpack(fixture!("prefixed.zip"), &only(Packing::Zip)), (PLAIN.to_vec(), None));
    // With 64-bit lengths and offsets throughout.
    assert_eq!(unpack(fixture!("large.zip"), &only(Packing::Auto)), (PLAIN.to_vec(), None));
    assert_eq!(unpack(fixture!("prefixed_large.zip"), &only(Packing::Zip)), (PLAIN.to_vec(), None));
}

#[test]
fn what_is_not_packed_passes_as_it_is() {
    assert_eq!(unpack(PLAIN, &Compression::default()), (PLAIN.to_vec(), None));
    assert_eq!(unpack(b"", &Compression::default()), (Vec::new(), None));
    for (_, content) in packed() {
        assert_eq!(unpack(content, &with(Packing::None)), (content.to_vec(), None));
    }
    // A workbook is a zip archive, and its format reads it itself.
    let mut input = Compression::default().open(Cursor::new(fixture!("deflate.zip")), true).unwrap();
    let mut start = [0; 2];
    input.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"PK");
}

#[test]
fn what_is_declared_must_be_there() {
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Bzip2, Packing::Zip] {
        let (bytes, damage) = unpack(PLAIN, &with(packing));
        let damage = damage.unwrap();
        assert_eq!((bytes.len(), damage.code), (0, RejectCode::FileUnreadable));
        assert!(damage.message.contains(packing.name()), "{damage}");
    }
}

#[test]
fn members_of_an_archive() {
    let check = |content: &[u8], settings: &Compression, expected: &str| {
        let (_, damage) = unpack(content, settings);
        let message = damage.expect(expected).message;
        assert!(message.contains(expected), "{message}");
    };
    let several = fixture!("several.zip");
    check(
        several,
        &Compression::default(),
        "has 3 members, say by `member` which one is meant: `in/rows.csv`, `in/other.csv`, `README`",
    );
    check(several, &member("*.csv"), "fits 2 members of the zip archive: `in/rows.csv`, `in/other.csv`");
    check(several, &member("*.txt"), "has no member \"*.txt\"; it has `in/rows.csv`");
    assert_eq!(unpack(several, &member("rows*")), (PLAIN.to_vec(), None));
    assert_eq!(unpack(several, &member("in/o*.csv")), (b"NO\n1\n".to_vec(), None));
    check(fixture!("empty.zip"), &Compression::default(), "has no members");
    check(fixture!("encrypted.zip"), &Compression::default(), "`rows.csv` of the zip archive is encrypted");
    check(fixture!("lzma.zip"), &Compression::default(), "packed by method 14");
    check(fixture!("workbook.zip"), &Compression::default(), "read it with the format `excel`");
    let mut archive = several.to_vec();
    archive.extend_from_slice(b"more");
    check(&archive, &Compression::default(), "it breaks off, or something follows it");
    // Names are whatever somebody chose, and are told on one line.
    let odd = replaced(several, b"README", b"RE\x1bD\nE");
    check(&odd, &Compression::default(), "`in/other.csv`, `RE\u{fffd}D\u{fffd}E`");
    let slip = replaced(several, b"in/rows.csv", b"../../r.csv");
    assert_eq!(unpack(&slip, &member("r.csv")), (PLAIN.to_vec(), None));
}

/// The same with each of these bytes replaced.
fn replaced(content: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    let found: Vec<usize> = memchr::memmem::find_iter(&content, from).collect();
    assert!(!found.is_empty() && from.len() == to.len());
    for at in found {
        content[at..at + to.len()].copy_from_slice(to);
    }
    content
}

#[test]
fn limits() {
    // 80 MiB of zeros, a thousand to one.
    let zeros = fixture!("zeros.gz");
    let (bytes, damage) = unpack(zeros, &Compression::default());
    let damage = damage.unwrap();
    assert_eq!(damage.code, RejectCode::TooLarge);
    assert!(damage.message.contains("more than 300 bytes come out of one"), "{damage}");
    assert!(bytes.len() < 65 << 20);
    let generous = Compression { max_ratio: 2000, ..Compression::default() };
    assert_eq!(unpack(zeros, &generous).0.len(), 80 << 20);
    let strict = Compression { max_unpacked: 1 << 20, ..generous };
    let (bytes, damage) = unpack(zeros, &strict);
    assert!(bytes.len() <= 1 << 20);
    assert!(damage.unwrap().message.contains("unpacks to more than 1 MiB"));
}

#[test]
fn data_that_breaks_off_is_told_at_every_byte() {
    for (name, content) in small() {
        let settings = member("other.csv");
        let (whole, none) = unpack(&content, &settings);
        assert_eq!(none, None, "{name}");
        for length in 8..content.len() {
            let (bytes, damage) = unpack(&content[..length], &settings);
            let damage = damage.unwrap_or_else(|| panic!("{name} cut to {length} bytes is taken as whole"));
            assert_eq!(damage.code, RejectCode::FileUnreadable, "{name} {length}");
            assert!(whole.starts_with(&bytes), "{name} {length}");
            assert_eq!(damage.unpacked, bytes.len() as u64, "{name} {length}");
            if name != "zip" {
                let place = format!("breaks off at byte {length} of the compressed file");
                assert!(damage.message.contains(&place), "{name} {length}: {damage}");
            }
        }
    }
}

/// Every kind has a checksum of what it holds.
#[test]
fn data_that_was_changed_is_told() {
    for (name, content) in small() {
        let settings = member("other.csv");
        let (whole, _) = unpack(&content, &settings);
        for at in 0..content.len() {
            let mut changed = content.clone();
            changed[at] ^= 0x10;
            let (bytes, damage) = unpack(&changed, &Compression { packing: Packing::Auto, ..settings.clone() });
            let is_other_data = bytes != whole && bytes != changed;
            assert!(damage.is_some() || !is_other_data, "{name}: byte {at}");
        }
    }
}

#[test]
fn bytes_behind_the_data() {
    for (name, content) in small().iter().take(3) {
        let (whole, _) = unpack(content, &Compression::default());
        let padded = [content.as_slice(), &[0; 300_000]].concat();
        assert_eq!(unpack(&padded, &Compression::default()), (whole.clone(), None), "{name}");
        for rest in [b"x".as_slice(), b"\0\0\0x", b"PK\x03\x04"] {
            let (bytes, damage) = unpack(&[content.as_slice(), rest].concat(), &Compression::default());
            assert_eq!(bytes, whole);
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            let place = format!("do not belong to it at byte {}", content.len() + zeros);
            assert!(damage.unwrap().message.contains(&place), "{name}");
        }
    }
}

/// An input that fails is no fault of the data.
#[test]
fn faults_of_the_disk_stay_errors() {
    struct Failing<'a>(Cursor<&'a [u8]>, u64);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let left = usize::try_from(self.1.saturating_sub(self.0.position())).unwrap();
            if left == 0 {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            let length = buffer.len().min(left);
            self.0.read(&mut buffer[..length])
        }
    }
    impl Seek for Failing<'_> {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    for (name, content) in small().into_iter().take(3) {
        let disk = Failing(Cursor::new(&content), content.len() as u64 - 5);
        let mut input = Compression::default().open(disk, false).unwrap();
        let error = input.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!((error.raw_os_error(), Damage::of(&error)), (Some(5), None), "{name}");
    }
}

/// An input that answers a few bytes at a time gives the same.
#[test]
fn no_boundary_of_a_read_shows() {
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
    for (name, content) in packed() {
        for piece in [1, 7, 4097] {
            let mut bytes = Vec::new();
            let input = Pieces(Cursor::new(content), piece);
            Compression::default().open(input, false).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes == PLAIN, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn looking_back_from_the_end() {
    for (name, content) in packed() {
        let mut input = open(content, &Compression::default()).unwrap();
        assert_eq!(input.seek(SeekFrom::End(0)).unwrap(), PLAIN.len() as u64, "{name}");
        for back in [1, 20, 1000, PLAIN.len()] {
            input.seek(SeekFrom::End(-(back as i64))).unwrap();
            let mut rest = Vec::new();
            input.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, &PLAIN[PLAIN.len() - back..]);
        }
        input.seek(SeekFrom::Start(1 << 40)).unwrap();
        assert_eq!(input.read(&mut [0; 10]).unwrap(), 0);
        assert!(input.seek(SeekFrom::Current(-(1 << 41))).is_err());
    }
}

/// What does not stay in memory is unpacked again.
#[test]
fn seeks_far_back_start_again() {
    use std::io::Write;
    let text: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    let content = gzip.finish().unwrap();
    let mut input = open(&content, &Compression::default()).unwrap();
    for at in [2_999_000usize, 0, 1_500_000, 1_400_000, 100, 2_999_999, 1_000_000] {
        input.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut piece = vec![0; 1000.min(text.len() - at)];
        input.read_exact(&mut piece).unwrap();
        assert_eq!(piece, &text[at..at + piece.len()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_and_seeks_are_those_of_the_plain_bytes(
        which in 0usize..7,
        steps in proptest::collection::vec((0usize..60_000, 1usize..9000), 1..20),
    ) {
        let content = packed()[which].1;
        let mut input = open(content, &Compression::default()).unwrap();
        for (at, length) in steps {
            input.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut piece = Vec::new();
            input.by_ref().take(length as u64).read_to_end(&mut piece).unwrap();
            let expected = PLAIN.get(at..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]);
            prop_assert_eq!(piece, expected);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        start in prop_oneof![
            Just(vec![0x1F, 0x8B, 8, 0]), Just(vec![0x28, 0xB5, 0x2F, 0xFD]), Just(b"BZh91AY&SY".to_vec()),
            Just(b"PK\x03\x04".to_vec()), Just(vec![0x50, 0x2A, 0x4D, 0x18]), Just(vec![])
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..400),
        end in prop_oneof![Just(vec![]), Just(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x10\0\0\0\x04\0\0\0\0\0".to_vec())],
    ) {
        let content = [start, rest, end].concat();
        for packing in [Packing::Auto, Packing::Zip, Packing::Gzip, Packing::Zstd, Packing::Bzip2] {
            unpack(&content, &with(packing));
        }
    }

    #[test]
    fn no_change_to_an_archive_is_too_strange(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        which in 0usize..4,
    ) {
        let archives = [fixture!("several.zip"), fixture!("large.zip"), fixture!("streamed.zip"), fixture!("deflate.zip")];
        let mut content = archives[which].to_vec();
        let directory = content.len().saturating_sub(400);
        for (at, byte) in changes {
            let at = directory + at.index(content.len() - directory);
            content[at] = byte;
        }
        unpack(&content, &member("other.csv"));
    }
}
