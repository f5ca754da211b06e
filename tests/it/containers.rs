//! Compressed files: decoded, staged, refused and replayed as if they had come plain.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::site::{Site, peak_memory};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decode/compressed").join(name)
}

fn decode(file: &str, options: &[&str]) -> Output {
    let path = fixture(file);
    let mut arguments = vec!["decode", path.to_str().unwrap(), "--format", "csv", "--delimiter", ";"];
    arguments.extend(options);
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).output().unwrap()
}

#[test]
fn decode_reads_through_what_other_programs_packed() {
    let plain = decode("rows.csv", &["--meta"]);
    assert_eq!(String::from_utf8_lossy(&plain.stdout).lines().count(), 2000);
    let files =
        ["rows.csv.gz", "rows.csv.bz2", "rows.csv.zst", "deflate.zip", "stored.zip", "bzip2.zip", "streamed.zip"];
    for file in files {
        // Offsets are those of the unpacked bytes.
        let packed = decode(file, &["--meta"]);
        assert!(packed.status.success(), "{file}: {}", String::from_utf8_lossy(&packed.stderr));
        assert_eq!(packed.stdout, plain.stdout, "{file}");
    }
    let member = decode("several.zip", &["--meta", "--member", "rows.*", "--compression", "zip"]);
    assert_eq!(member.stdout, plain.stdout);
}

#[test]
fn decode_says_why_it_cannot_unpack() {
    let check = |file: &str, options: &[&str], expected: &str| {
        let output = decode(file, options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check("several.zip", &[], "say by `member` which one is meant: `in/rows.csv`, `in/other.csv`, `README`");
    check("zeros.gz", &["--max-unpacked-mib", "1"], "unpacks to more than 1 MiB");
    check("encrypted.zip", &[], "is encrypted");
    check("workbook.zip", &[], "Excel workbook");
    check("rows.csv.gz", &["--compression", "none"], "is compressed (gzip)");
    check("rows.csv", &["--compression", "zstd"], "the zstd data is damaged");
    check("rows.csv", &["--compression", "zstd", "--member", "x"], "--member belongs to --compression zip");
}

/// The shape of copybook files: a footer is found from the end of what is unpacked.
#[test]
fn a_footer_is_counted_from_the_end_of_the_unpacked_bytes() {
    let site = Site::new();
    site.write("r.cpy", b"       01 R.\n          05 A PIC X(4).\n");
    let bytes = [b"HEAD".as_slice(), &b"abcd".repeat(200_000), b"FOOT"].concat();
    site.write("r.bin", &bytes);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&bytes).unwrap();
    site.write("r.bin.gz", &gzip.finish().unwrap());
    let options = ["--copybook", "r.cpy", "--encoding", "latin1", "--header-bytes", "4", "--footer-bytes", "4"];
    let decode = |file: &str, more: &[&str]| site.run(&[&["decode", file, "--meta"], &options[..], more].concat());
    let (plain, packed) = (decode("r.bin", &[]), decode("r.bin.gz", &["--max-unpack-ratio", "5000", "--threads", "2"]));
    assert_eq!(String::from_utf8_lossy(&plain.stdout).lines().count(), 200_000);
    assert!(packed.status.success() && packed.stdout == plain.stdout);
}

#[test]
fn a_compressed_copybook_is_inspected() {
    let site = Site::new();
    let copybook = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decode/orders.cpy");
    site.copy(&copybook, "orders.cpy");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&std::fs::read(&copybook).unwrap()).unwrap();
    site.write("orders.cpy.gz", &gzip.finish().unwrap());
    let plain = site.run(&["inspect", "orders.cpy"]);
    assert!(plain.status.success() && plain.stdout.len() > 500);
    assert_eq!(site.run(&["inspect", "orders.cpy.gz"]).stdout, plain.stdout);
    let archive = site.run(&["inspect", fixture("several.zip").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&archive.stdout).contains("say by `member` which one is meant"));
    assert_eq!(archive.status.code(), Some(0));
}

/// Ten times the input takes no more memory, packed as it is and with records that lie in one another.
#[test]
fn memory_does_not_follow_a_compressed_xml_file() {
    let site = Site::new();
    let peak = |records: usize| -> u64 {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"<a>").unwrap();
        for number in 0..records {
            let lines = format!("<l no='{number}'><s>article {number}</s><q>{}</q></l>", number % 7).repeat(4);
            gzip.write_all(format!("<r id='{number}'>{lines}</r>\n").as_bytes()).unwrap();
        }
        gzip.write_all(b"</a>").unwrap();
        site.write("r.xml.gz", &gzip.finish().unwrap());
        peak_memory(&mut site.command(&["decode", "r.xml.gz", "--record-path", "/a/r"]))
    };
    let (small, large) = (peak(8_000), peak(80_000));
    assert!(small > 0 && large < small + 4_096, "{small} kB, then {large} kB");
    assert!(large < 64 * 1024, "{large} kB");
}

fn mapping(more: &str, price: &str) -> String {
    format!(
        "resource = \"articles\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n{more}\n[source.csv]\n\
         files = \"rows*\"\ndelimiter = \";\"\n[fields]\nno = {{ from = \"NO\" }}\nname = {{ from = \"NAME\" }}\n\
         price = {{ from = \"PREIS\", type = \"{price}\", decimal_point = \",\" }}\n"
    )
}

fn site(more: &str) -> Site {
    Site::with_mappings(&[("articles.v1.toml", &mapping(more, "decimal(9,2)"))])
}

fn counts(run: &Value) -> [u64; 3] {
    ["read", "staged", "dead"].map(|name| run[name].as_u64().unwrap_or_else(|| panic!("{run}")))
}

#[test]
fn a_compressed_file_is_staged_and_kept_as_it_came() {
    for (file, more) in [
        ("rows.csv.gz", ""),
        ("rows.csv.bz2", "compression = \"bzip2\""),
        ("rows.csv.zst", ""),
        ("deflate.zip", "member = \"*.csv\""),
    ] {
        let site = site(more);
        let content = std::fs::read(fixture(file)).unwrap();
        site.deliver("rows.packed", &content);
        let (runs, code) = site.json(&["sync", "articles"]);
        assert_eq!((counts(&runs[0]), code), ([2000, 2000, 0], 0), "{file}");
        assert_eq!(std::fs::read(site.path("archive/rows.packed")).unwrap(), content);
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        let (trace, _) = site.json(&["trace", "articles", "01999"]);
        let told = serde_json::to_string(&trace).unwrap();
        assert!(told.contains(&digest), "{told}");
        // The header and rows of one length of 22 or 23 bytes come before it.
        let plain = std::fs::read(fixture("rows.csv")).unwrap();
        let offset = plain.windows(6).position(|bytes| bytes == b"01999;").unwrap();
        assert!(told.contains(&format!("\"offset\":{offset}")), "{told}");
        let preview = site.run(&["preview", "articles", fixture(file).to_str().unwrap(), "--limit", "2"]);
        assert_eq!(String::from_utf8_lossy(&preview.stdout).lines().count(), 2);
    }
}

/// 30,000 rows, so that several transactions are due, packed and cut.
fn cut() -> Vec<u8> {
    let rows: String = (0..30_000).map(|n| format!("{n:05};Artikel {};{},50\n", n * 7919 % 30_011, n % 1000)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(format!("NO;NAME;PREIS\n{rows}").as_bytes()).unwrap();
    let mut packed = gzip.finish().unwrap();
    packed.truncate(packed.len() - 9000);
    packed
}

#[test]
fn of_a_damaged_file_nothing_becomes_visible() {
    let site = site("");
    let packed = cut();
    site.deliver("rows.csv.gz", &packed);
    let (runs, code) = site.json(&["sync", "articles"]);
    assert_eq!((counts(&runs[0]), code), ([0, 0, 0], 1), "{runs:?}");
    assert_eq!(site.listing("rejected"), ["rows.csv.gz"]);
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert_eq!((letters.len(), &letters[0]["code"]), (1, &json!("file.unreadable")));
    let told = letters[0].to_string();
    let place = format!("the gzip data breaks off at byte {} of the compressed file", packed.len());
    assert!(told.contains(&place), "{told}");
}

#[test]
fn what_came_before_the_damage_is_staged_where_the_mapping_says_so() {
    let site = site("damaged = \"keep\"");
    site.deliver("rows.csv.gz", &cut());
    let (runs, code) = site.json(&["sync", "articles"]);
    let [read, staged, dead] = counts(&runs[0]);
    assert!(code == 1 && staged > 20_000 && staged < 30_000 && read == staged + dead, "{runs:?}");
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert!(letters.iter().any(|letter| letter.to_string().contains("breaks off at byte")), "{letters:?}");
}

#[test]
fn a_bomb_is_refused() {
    let site = site("");
    site.deliver("rows.gz", &std::fs::read(fixture("zeros.gz")).unwrap());
    let (runs, code) = site.json(&["sync", "articles"]);
    assert_eq!((counts(&runs[0]), code), ([0, 0, 0], 1), "{runs:?}");
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert_eq!(letters[0]["code"], json!("file.too_large"));
}

#[test]
fn a_dead_letter_of_a_compressed_file_is_replayed() {
    let site = Site::with_mappings(&[("articles.v1.toml", &mapping("", "decimal(5,2)"))]);
    let rows = "NO;NAME;PREIS\n1;a;1,50\n2;b;12345,00\n3;c;2,50\n";
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 0).unwrap();
    zstd.write_all(rows.as_bytes()).unwrap();
    site.deliver("rows.csv.zst", &zstd.finish().unwrap());
    let (runs, _) = site.json(&["sync", "articles"]);
    assert_eq!(counts(&runs[0]), [3, 2, 1], "{runs:?}");
    let (letters, _) = site.json(&["dead-letters", "list"]);
    site.write("mappings/articles.v1.toml", mapping("", "decimal(9,2)").as_bytes());
    let replay = site.run(&["dead-letters", "replay", &letters[0]["id"].to_string()]);
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let (trace, _) = site.json(&["trace", "articles", "2"]);
    assert!(trace[0].to_string().contains("12345.00"), "{trace:?}");
}

#[test]
fn settings_that_make_no_sense_are_faults() {
    let check = |more: &str, expected: &str| {
        let output = site(more).run(&["check", "--offline"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    };
    check("compression = \"gzip\"\nmember = \"*.csv\"", "`member` has no place beside `compression` = \"gzip\"");
    check("compression = \"lzma\"", "compression");
    check("member = \"[\"", "no file name pattern");
    check("damaged = \"ignore\"", "damaged");
    check("max_unpacked_mib = 0", "max_unpacked_mib");
}
